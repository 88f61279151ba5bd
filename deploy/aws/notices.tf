resource "aws_sns_topic" "notices" {
  # checkov:skip=CKV_AWS_26:Alarms cannot publish through the key of SNS; kms_key_arn encrypts with one of yours
  name              = "${var.name}-notices"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "notices" {
  arn    = aws_sns_topic.notices.arn
  policy = local.policies["notices"]
}

resource "aws_sns_topic_subscription" "mail" {
  for_each = var.notice_emails

  topic_arn = aws_sns_topic.notices.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_budgets_budget" "month" {
  count = var.monthly_budget_usd == null ? 0 : 1

  name         = "${var.name}-month"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = [80, 100]

    content {
      comparison_operator        = "GREATER_THAN"
      notification_type          = "ACTUAL"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.notice_emails
    }
  }
}
