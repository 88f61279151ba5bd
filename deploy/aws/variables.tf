variable "name" {
  description = "Name of the deployment; every resource's name begins with it"
  type        = string
  default     = "recommender"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "Expected 3 to 22 lower-case letters, digits and hyphens, a letter first, no hyphen last."
  }
}

variable "region" {
  description = "AWS region"
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]$", var.region))
    error_message = "Expected a region such as eu-west-1; the policies are written for the partition aws."
  }
}

variable "bucket" {
  description = "Name of the bucket to create; it has to be free in all of AWS"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "Expected 3 to 63 lower-case letters, digits and hyphens, no hyphen at an end."
  }
}

variable "prefix" {
  description = "Where the project's objects lie in the bucket, without slashes at its ends; empty: the whole bucket"
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$", var.prefix))
    error_message = "Expected names of letters, digits, dots, underscores and hyphens, with a slash between two of them."
  }
}

variable "kms_key_arn" {
  description = "Your KMS key for bucket, disks, logs and topic; null: the keys of the services. Its policy has to let the services of docs/aws.md use it"
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "Expected the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "repository_url" {
  description = "Where the machine fetches the release from, by HTTPS and without a login"
  type        = string

  validation {
    condition     = can(regex("^https://[A-Za-z0-9.-]+/[A-Za-z0-9._/-]+$", var.repository_url))
    error_message = "Expected an https:// address without a login."
  }
}

variable "release_ref" {
  description = "Tag of the release"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._/-]*$", var.release_ref))
    error_message = "Expected a git tag or branch."
  }
}

variable "release_commit" {
  description = "Commit that the tag has to point to; the machine refuses any other"
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{40}$", var.release_commit))
    error_message = "Expected the 40 hexadecimal digits of a commit: git rev-parse TAG^{commit}"
  }
}

variable "settings" {
  description = "Settings of docs/operations.md and docs/api.md, and limits of memory (SCHEDULER_MEMORY, API_MEMORY); no secrets: the state holds them in plain text"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.settings) : can(regex("^(RECOMMENDER_[A-Z_]+|SCHEDULER_MEMORY|API_MEMORY)$", key))])
    error_message = "Expected names RECOMMENDER_..., SCHEDULER_MEMORY or API_MEMORY."
  }

  validation {
    condition     = alltrue([for value in values(var.settings) : can(regex("^[^\\n\\r']*$", value))])
    error_message = "Expected values in one line, without single quotes."
  }

  validation {
    condition = length(setintersection(keys(var.settings), [
      "RECOMMENDER_ROOT", "RECOMMENDER_CACHE", "RECOMMENDER_SNS_TOPIC_ARN", "RECOMMENDER_AWS_BATCH", "RECOMMENDER_AWS_CONN_ID",
    ])) == 0
    error_message = "Terraform sets the root, the cache, the topic, the batch queue and the connection."
  }

  validation {
    condition     = !contains(keys(var.settings), "RECOMMENDER_NOTIFIERS")
    error_message = "Tokens of RECOMMENDER_NOTIFIERS would lie in the state: make it the SecureString /NAME/secrets/RECOMMENDER_NOTIFIERS (docs/aws.md)."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), ["RECOMMENDER_SNAPSHOTS", "RECOMMENDER_SAMPLES"])) == 0
    error_message = "The roles may read snapshots below the root only, and write none: leave RECOMMENDER_SNAPSHOTS and RECOMMENDER_SAMPLES out."
  }
}

variable "instance_type" {
  description = "Type of the machine; x86-64, 16 GB or more"
  type        = string
  default     = "r7i.large"
}

variable "ami_id" {
  description = "Image of the machine; null: the newest Ubuntu 24.04 of Canonical at the time of creation"
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "Expected an id such as ami-0123456789abcdef0."
  }
}

variable "volume_gb" {
  description = "Disk of the machine in GB: images, database, logs, and five times the size of a snapshot"
  type        = number
  default     = 100

  validation {
    condition     = var.volume_gb >= 30 && var.volume_gb <= 16384 && floor(var.volume_gb) == var.volume_gb
    error_message = "Expected a whole number from 30 to 16384."
  }
}

variable "subnet_id" {
  description = "Subnet of the machine and of training; null: a subnet of the default VPC"
  type        = string
  default     = null

  validation {
    condition     = var.subnet_id == null || can(regex("^subnet-[0-9a-f]{8,17}$", var.subnet_id))
    error_message = "Expected an id such as subnet-0123456789abcdef0."
  }
}

variable "public_address" {
  description = "Whether the machine has a public address, its way out where the subnet has no NAT; null: as the subnet has it. No port is open either way"
  type        = bool
  default     = null
}

variable "notice_emails" {
  description = "Addresses that get failed runs and alarms; each has to confirm a mail of SNS"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.notice_emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "Expected e-mail addresses."
  }
}

variable "success_days" {
  description = "Alarm when the last successful run is older than so many days; above the interval of the schedule"
  type        = number
  default     = 8

  validation {
    condition     = var.success_days >= 1 && var.success_days <= 366
    error_message = "Expected 1 to 366 days."
  }
}

variable "log_days" {
  description = "Days that CloudWatch keeps logs"
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "Expected one of the periods of CloudWatch Logs, such as 30, 90 or 365."
  }
}

variable "monthly_budget_usd" {
  description = "Notices at 80 and 100 % of so many dollars a month, of the whole account; null: none. Needs notice_emails"
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null || try(var.monthly_budget_usd > 0 && length(var.notice_emails) > 0, false)
    error_message = "Expected a number above 0, and an address in notice_emails."
  }
}

variable "training_enabled" {
  description = "Whether heavy tasks can run on AWS Batch"
  type        = bool
  default     = false

  validation {
    condition     = !var.training_enabled || var.training_image != null
    error_message = "training_enabled needs training_image: push the Airflow image first (docs/aws.md)."
  }
}

variable "training_image" {
  description = "The Airflow image by digest, in the repository that Terraform makes"
  type        = string
  default     = null

  validation {
    condition     = var.training_image == null || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.training_image))
    error_message = "Expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:DIGEST."
  }
}

variable "training_instance_types" {
  description = "Types that Batch may start for training; x86-64, one vCPU more than needed is wasted"
  type        = list(string)
  default     = ["r7i.2xlarge", "r7a.2xlarge", "r6i.2xlarge"]

  validation {
    condition     = length(var.training_instance_types) > 0
    error_message = "Expected one type or more."
  }
}

variable "training_spot" {
  description = "Whether training runs on spot machines; a lost one is replaced and the task runs again"
  type        = bool
  default     = true
}

variable "training_vcpus" {
  description = "vCPUs of a training job"
  type        = number
  default     = 8
}

variable "training_memory_mb" {
  description = "Memory of a training job in MiB; below that of the machine, since its agent needs some"
  type        = number
  default     = 60000
}

variable "training_max_vcpus" {
  description = "vCPUs of all training machines together"
  type        = number
  default     = 16

  validation {
    condition     = var.training_max_vcpus >= var.training_vcpus
    error_message = "Expected at least training_vcpus."
  }
}

variable "training_volume_gb" {
  description = "Disk of a training machine in GB"
  type        = number
  default     = 200

  validation {
    condition     = var.training_volume_gb >= 30 && var.training_volume_gb <= 16384
    error_message = "Expected 30 to 16384."
  }
}
