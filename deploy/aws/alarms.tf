resource "aws_cloudwatch_log_group" "machine" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts logs itself; kms_key_arn does it with a key of yours
  name              = "/${var.name}/machine"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

locals {
  # What deploy/watch.py measures every five minutes: it is bad above the limit, and so is silence of half an hour.
  limits = {
    success = { metric = "SuccessAgeHours", limit = 24 * var.success_days, text = "no run has succeeded for ${var.success_days} days" }
    backup  = { metric = "BackupAgeHours", limit = 48, text = "the database has had no backup for two days" }
    disk    = { metric = "DiskUsedPercent", limit = 85, text = "the disk is nearly full" }
    api     = { metric = "ApiDown", limit = 0, text = "the API is not ready" }
  }
}

resource "aws_cloudwatch_metric_alarm" "measured" {
  for_each = local.limits

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${var.name}: ${each.value.text}, or the machine measures nothing. What to do: docs/aws.md, Alarms"
  namespace           = "Recommender"
  metric_name         = each.value.metric
  dimensions          = { Deployment = var.name }
  statistic           = "Minimum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.limit
  period              = 300
  evaluation_periods  = 6
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.notices.arn]
  ok_actions          = [aws_sns_topic.notices.arn]
}

resource "aws_cloudwatch_metric_alarm" "machine" {
  alarm_name          = "${var.name}-machine"
  alarm_description   = "${var.name}: the machine fails its status checks. What to do: docs/aws.md, Alarms"
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { InstanceId = aws_instance.machine.id }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.notices.arn]
  ok_actions          = [aws_sns_topic.notices.arn]
}
