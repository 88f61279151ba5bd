data "aws_caller_identity" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  prefix  = var.prefix == "" ? "" : "${var.prefix}/"
  root    = "s3://${var.bucket}${var.prefix == "" ? "" : "/${var.prefix}"}"

  # What stands between ${ and } in policies/*.json and lifecycle.json.
  placeholders = {
    account = local.account
    bucket  = var.bucket
    kms_key = coalesce(var.kms_key_arn, "none")
    name    = var.name
    prefix  = local.prefix
    region  = var.region
  }
  policies = {
    for file in fileset("${path.module}/policies", "*.json") :
    trimsuffix(file, ".json") => jsonencode(jsondecode(templatefile("${path.module}/policies/${file}", local.placeholders)))
  }
  lifecycle_rules = jsondecode(templatefile("${path.module}/lifecycle.json", local.placeholders)).Rules
}
