data "aws_iam_policy_document" "assumed_by" {
  for_each = toset(["ec2", "ecs-tasks"])

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

locals {
  shared_policies = var.kms_key_arn == null ? [] : ["encryption"]
  # One machine runs Airflow and the API, so its role has the rights of both; those of the API lie within the DAG's.
  machine_policies = concat(["dag", "machine"], var.training_enabled ? ["submit"] : [], local.shared_policies)
  job_policies     = var.training_enabled ? concat(["dag"], local.shared_policies) : []
}

resource "aws_iam_role" "machine" {
  name               = "${var.name}-machine"
  assume_role_policy = data.aws_iam_policy_document.assumed_by["ec2"].json
}

resource "aws_iam_role_policy_attachment" "machine" {
  for_each = toset(local.machine_policies)

  role       = aws_iam_role.machine.name
  policy_arn = aws_iam_policy.of[each.key].arn
}

resource "aws_iam_instance_profile" "machine" {
  name = "${var.name}-machine"
  role = aws_iam_role.machine.name
}

resource "aws_iam_role" "job" {
  count = var.training_enabled ? 1 : 0

  name               = "${var.name}-job"
  assume_role_policy = data.aws_iam_policy_document.assumed_by["ecs-tasks"].json
}

resource "aws_iam_role_policy_attachment" "job" {
  for_each = toset(local.job_policies)

  role       = aws_iam_role.job[0].name
  policy_arn = aws_iam_policy.of[each.key].arn
}

resource "aws_iam_role" "worker" {
  count = var.training_enabled ? 1 : 0

  name               = "${var.name}-worker"
  assume_role_policy = data.aws_iam_policy_document.assumed_by["ec2"].json
}

resource "aws_iam_role_policy_attachment" "worker" {
  count = var.training_enabled ? 1 : 0

  role       = aws_iam_role.worker[0].name
  policy_arn = aws_iam_policy.of["worker"].arn
}

resource "aws_iam_instance_profile" "worker" {
  count = var.training_enabled ? 1 : 0

  name = "${var.name}-worker"
  role = aws_iam_role.worker[0].name
}
