data "aws_ssm_parameter" "ubuntu" {
  count = var.ami_id == null ? 1 : 0

  name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
}

locals {
  settings = merge(var.settings, {
    AWS_DEFAULT_REGION        = var.region
    AWS_LOG_GROUP             = aws_cloudwatch_log_group.machine.name
    COMPOSE_FILE              = "docker-compose.yaml:deploy/compose/aws.yaml"
    RECOMMENDER_ROOT          = local.root
    RECOMMENDER_SNS_TOPIC_ARN = aws_sns_topic.notices.arn
    }, var.training_enabled ? {
    RECOMMENDER_AWS_BATCH = var.name
  } : {})
}

# The machine reads it at each start, so a changed setting or release needs no new machine.
resource "aws_ssm_parameter" "settings" {
  # checkov:skip=CKV2_AWS_34:The variable settings takes no secret; secrets are SecureStrings that the machine or a person makes
  # checkov:skip=CKV_AWS_337:The same
  name        = "/${var.name}/settings"
  description = "Release and settings of ${var.name}"
  type        = "String"

  value = jsonencode({
    repository = var.repository_url
    ref        = var.release_ref
    commit     = var.release_commit
    settings   = local.settings
  })
}

resource "aws_instance" "machine" {
  # checkov:skip=CKV_AWS_126:The alarms use status checks and measures of the machine itself, which come each minute and each five
  # checkov:skip=CKV_AWS_88:The address is the way out where there is no NAT; the security group lets nothing in
  ami                         = coalesce(var.ami_id, try(data.aws_ssm_parameter.ubuntu[0].insecure_value, null))
  instance_type               = var.instance_type
  subnet_id                   = local.subnets[0]
  vpc_security_group_ids      = [aws_security_group.machine.id]
  associate_public_ip_address = var.public_address
  iam_instance_profile        = aws_iam_instance_profile.machine.name

  ebs_optimized = true

  user_data = templatefile("${path.module}/user_data.sh.tftpl", {
    log_group = aws_cloudwatch_log_group.machine.name
    name      = var.name
    region    = var.region
  })

  metadata_options {
    http_tokens = "required"
    # Containers use the role of the machine: their network is one hop more.
    http_put_response_hop_limit = 2
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.volume_gb
    encrypted   = true
    kms_key_id  = var.kms_key_arn
  }

  tags        = { Name = var.name }
  volume_tags = { Name = var.name, Deployment = var.name }

  lifecycle {
    # A newer image is no reason to lose the database: docs/aws.md says how to replace the machine.
    ignore_changes = [ami, user_data]
  }

  depends_on = [
    aws_iam_role_policy_attachment.machine,
    aws_ssm_parameter.settings,
    aws_s3_bucket_policy.store,
    aws_vpc_security_group_egress_rule.machine,
  ]
}
