# The image of training jobs; the machine builds its own from the same commit.
resource "aws_ecr_repository" "airflow" {
  # checkov:skip=CKV_AWS_136:kms_key_arn encrypts with a key of yours; without one the registry's own does
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = var.kms_key_arn == null ? "AES256" : "KMS"
    kms_key         = var.kms_key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "airflow" {
  repository = aws_ecr_repository.airflow.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "The newest images are enough: older releases can be built again"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_cloudwatch_log_group" "training" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts logs itself; kms_key_arn does it with a key of yours
  count = var.training_enabled ? 1 : 0

  name              = "/${var.name}/training"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_launch_template" "worker" {
  # checkov:skip=CKV_AWS_341:Jobs take their role from the agent of ECS, over the same kind of hop
  count = var.training_enabled ? 1 : 0

  name = "${var.name}-worker"

  block_device_mappings {
    # The root of Amazon's images for ECS: the images and the cache of a job are on it.
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.training_volume_gb
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-worker", Deployment = var.name }
  }
}

resource "aws_batch_compute_environment" "training" {
  count = var.training_enabled ? 1 : 0

  # Its name is Terraform's: the argument is called differently in versions 5 and 6 of the provider.
  type = "MANAGED"

  compute_resources {
    type                = var.training_spot ? "SPOT" : "EC2"
    allocation_strategy = var.training_spot ? "SPOT_PRICE_CAPACITY_OPTIMIZED" : "BEST_FIT_PROGRESSIVE"
    instance_type       = var.training_instance_types
    instance_role       = aws_iam_instance_profile.worker[0].arn
    min_vcpus           = 0
    max_vcpus           = var.training_max_vcpus
    subnets             = local.subnets
    security_group_ids  = [aws_security_group.machine.id]

    launch_template {
      launch_template_id = aws_launch_template.worker[0].id
      version            = aws_launch_template.worker[0].latest_version
    }
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_iam_role_policy_attachment.worker]
}

resource "aws_batch_job_queue" "training" {
  count = var.training_enabled ? 1 : 0

  name     = var.name
  state    = "ENABLED"
  priority = 1

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.training[0].arn
  }
}

resource "aws_batch_job_definition" "training" {
  count = var.training_enabled ? 1 : 0

  name                  = var.name
  type                  = "container"
  platform_capabilities = ["EC2"]

  container_properties = jsonencode({
    image                  = var.training_image
    command                = ["python", "-m", "include.orchestration.job"]
    user                   = "50000"
    jobRoleArn             = aws_iam_role.job[0].arn
    readonlyRootFilesystem = true
    privileged             = false
    resourceRequirements = [
      { type = "VCPU", value = tostring(var.training_vcpus) },
      { type = "MEMORY", value = tostring(var.training_memory_mb) },
    ]
    environment = [
      { name = "AIRFLOW_HOME", value = "/tmp/airflow" },
      { name = "AWS_DEFAULT_REGION", value = var.region },
      { name = "OPENBLAS_NUM_THREADS", value = "1" },
      { name = "RECOMMENDER_CACHE", value = "/var/cache/recommender" },
    ]
    # An empty volume on the machine's disk begins as the image's directory, which belongs to the user.
    volumes     = [{ name = "cache" }]
    mountPoints = [{ sourceVolume = "cache", containerPath = "/var/cache/recommender", readOnly = false }]
    linuxParameters = {
      initProcessEnabled = true
      tmpfs              = [{ containerPath = "/tmp", size = 4096 }]
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.training[0].name
        awslogs-region        = var.region
        awslogs-stream-prefix = "job"
      }
    }
  })

  timeout {
    attempt_duration_seconds = 43200
  }

  # A lost machine is worth another try. What ended by itself would end so again: the task of Airflow decides.
  retry_strategy {
    attempts = 3

    evaluate_on_exit {
      action           = "RETRY"
      on_status_reason = "Host EC2*"
    }

    evaluate_on_exit {
      action    = "EXIT"
      on_reason = "*"
    }
  }
}
