# Each policy is a file of policies/; docs/aws.md says who gets which.
resource "aws_iam_policy" "of" {
  for_each = toset(concat(
    ["api", "dag", "machine", "operator", "reader", "retire"],
    var.training_enabled ? ["submit", "worker"] : [],
    var.kms_key_arn == null ? [] : ["encryption"],
  ))

  name   = "${var.name}-${each.key}"
  policy = local.policies[each.key]
}
