# What an operator decides about the bucket, the network, roles, images and job sizes.

# --- where -------------------------------------------------------------------------------------

variable "aws_region" {
  description = "Region of everything in this module."
  type        = string
  default     = "us-west-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "Write a region such as us-west-2."
  }
}

variable "aws_profile" {
  description = "Profile of the AWS configuration to use; null takes what the environment gives."
  type        = string
  default     = null
}

variable "aws_account_id" {
  description = "The one account in which this module may be applied; null allows any."
  type        = string
  default     = null

  validation {
    condition     = var.aws_account_id == null || can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "An account is twelve digits."
  }
}

variable "tags" {
  description = "Tags on every resource, beside Project and Module, for example for cost reports."
  type        = map(string)
  default     = {}
}

variable "s3_bucket_name" {
  description = "Existing bucket that holds the data of all quarters."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.s3_bucket_name))
    error_message = "Give the bucket's bare name, without s3:// and without a path."
  }
}

variable "s3_kms_key_arn" {
  description = "Key of the bucket's default encryption; empty when it is S3's own (SSE-S3)."
  type        = string
  default     = ""

  validation {
    condition     = var.s3_kms_key_arn == "" || startswith(var.s3_kms_key_arn, "arn:")
    error_message = "Give the ARN of a KMS key, or leave it empty."
  }
}

variable "vpc_id" {
  description = "VPC of the jobs; null takes the account's default VPC."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets of the jobs, with a way out to S3, ECR and CloudWatch; empty takes the default VPC's default subnets."
  type        = list(string)
  default     = []

  validation {
    condition     = var.vpc_id == null || length(var.subnet_ids) > 0
    error_message = "With vpc_id, give subnet_ids: only you know which subnets have a way out."
  }
}

# --- LLM ---------------------------------------------------------------------------------------

variable "enable_vllm" {
  description = "Take the LLM's URL from the SSM parameter that the ecs module writes (second pass of the deploy)."
  type        = bool
  default     = false
}

variable "llm_base_url" {
  description = "An existing OpenAI-compatible URL in place of the whole ecs module; empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.llm_base_url == "" || can(regex("^https?://[^/ ]+(/[^ ]*)?/v1$", var.llm_base_url))
    error_message = "Give an http(s) URL that ends in /v1, without a slash after it."
  }

  validation {
    condition     = var.llm_base_url == "" || !var.enable_vllm
    error_message = "Use either enable_vllm or llm_base_url, not both."
  }
}

variable "llm_api_key_secret_arn" {
  description = "Secrets Manager secret whose value becomes LLM_API_KEY in the jobs; empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.llm_api_key_secret_arn == "" || startswith(var.llm_api_key_secret_arn, "arn:")
    error_message = "Give the ARN of a secret, or leave it empty."
  }
}

variable "vllm_model" {
  description = "Model name that the jobs ask the LLM server for (LLM_MODEL_NAME)."
  type        = string
  default     = "Qwen/Qwen3-8B"

  validation {
    condition     = length(trimspace(var.vllm_model)) > 0
    error_message = "A model name cannot be empty."
  }
}

variable "llm_max_concurrent" {
  description = "Requests that one job keeps in flight (LLM_MAX_CONCURRENT)."
  type        = number
  default     = 10

  validation {
    condition     = var.llm_max_concurrent >= 1 && var.llm_max_concurrent <= 1000 && floor(var.llm_max_concurrent) == var.llm_max_concurrent
    error_message = "Give a whole number from 1 to 1000."
  }
}

# --- settings of the jobs ----------------------------------------------------------------------

variable "checkpoint_interval" {
  description = "Firms per checkpoint in the map phase (CHECKPOINT_INTERVAL)."
  type        = number
  default     = 50

  validation {
    condition     = var.checkpoint_interval >= 1 && floor(var.checkpoint_interval) == var.checkpoint_interval
    error_message = "Give a whole number of at least 1."
  }
}

variable "settings_environment" {
  description = "Any other setting of `ftm config`, by environment variable, for example { BATCH_SIZE = \"100\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings_environment) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "Names are environment variables: capitals, digits and underscores."
  }

  validation {
    condition = length(setintersection(keys(var.settings_environment), [
      "QUARTER", "S3_BUCKET", "BATCH_ID", "RUN_NAME", "LLM_BASE_URL", "LLM_MODEL_NAME",
      "LLM_MAX_CONCURRENT", "LLM_API_KEY", "CHECKPOINT_INTERVAL",
    ])) == 0
    error_message = "This variable has a Terraform variable of its own, or is set by the state machine."
  }
}

# --- roles, images, secrets --------------------------------------------------------------------

variable "use_precreated_roles" {
  description = "Use roles that an administrator made under the names below, and create none."
  type        = bool
  default     = false
}

variable "role_names" {
  description = "Names of the roles, where they differ from the roles module's defaults."
  type = object({
    job             = optional(string)
    batch_execution = optional(string)
    batch_instance  = optional(string)
    batch_profile   = optional(string)
  })
  default = {}
}

variable "use_external_images" {
  description = "Use the image URIs below as they are, and create no ECR repositories."
  type        = bool
  default     = false
}

variable "map_image_uri" {
  description = "Image of the planning and map jobs, with tag or digest; empty takes the own repository."
  type        = string
  default     = ""

  validation {
    condition     = var.map_image_uri != "" || !var.use_external_images
    error_message = "With use_external_images, give map_image_uri."
  }

  validation {
    condition     = var.map_image_uri == "" || can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.map_image_uri))
    error_message = "Name the image with its tag or digest."
  }
}

variable "reduce_image_uri" {
  description = "Image of the reduce job, with tag or digest; empty takes the own repository."
  type        = string
  default     = ""

  validation {
    condition     = var.reduce_image_uri != "" || !var.use_external_images
    error_message = "With use_external_images, give reduce_image_uri."
  }

  validation {
    condition     = var.reduce_image_uri == "" || can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.reduce_image_uri))
    error_message = "Name the image with its tag or digest."
  }
}

variable "image_tag" {
  description = "Tag in the own repositories when no image URI is given; tags there never change their image."
  type        = string
  default     = "initial"

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "Give a tag of its own to each image; latest says nothing."
  }
}

variable "enable_wrds_secrets" {
  description = "Create an empty secret for WRDS credentials. Its value is put there by hand and never enters the state."
  type        = bool
  default     = false
}

variable "wrds_secret_name" {
  description = "Name of the WRDS secret, which `ftm ingest wrds` reads on the operator's machine."
  type        = string
  default     = "ftm/wrds"
}

# --- machines ----------------------------------------------------------------------------------

variable "use_gpu" {
  description = "Give each map job a GPU for embeddings; takes GPU instance types and an image built for CUDA."
  type        = bool
  default     = false
}

variable "batch_instance_types" {
  description = "Instance types of the jobs; empty takes a spread of current CPU or GPU types."
  type        = list(string)
  default     = []
}

variable "use_spot" {
  description = "Run jobs on Spot first and on demand only when Spot has no room."
  type        = bool
  default     = true
}

variable "max_vcpus" {
  description = "Most vCPUs that all jobs together may hold, in each of Spot and on demand."
  type        = number
  default     = 256

  validation {
    condition     = var.max_vcpus >= 1 && floor(var.max_vcpus) == var.max_vcpus
    error_message = "Give a whole number of at least 1."
  }
}

variable "job_sizes" {
  description = "vCPUs and MiB of memory of each kind of job."
  type = object({
    plan_vcpus    = optional(number, 1)
    plan_memory   = optional(number, 3072)
    map_vcpus     = optional(number, 4)
    map_memory    = optional(number, 14336)
    reduce_vcpus  = optional(number, 4)
    reduce_memory = optional(number, 14336)
  })
  default = {}

  validation {
    condition     = alltrue([for size in values(var.job_sizes) : size >= 1 && floor(size) == size])
    error_message = "Sizes are whole numbers of at least 1."
  }
}

variable "job_timeout_seconds" {
  description = "Longest time one attempt of one job may run. AWS Batch does not retry a job that reaches it."
  type        = number
  default     = 43200

  validation {
    condition     = var.job_timeout_seconds >= 60 && var.job_timeout_seconds <= 604800
    error_message = "Give between one minute and seven days, in seconds."
  }
}

variable "runnable_limit_seconds" {
  description = "Longest time a job at the head of the queue may wait for an instance before it is cancelled."
  type        = number
  default     = 1800

  validation {
    condition     = var.runnable_limit_seconds >= 600 && var.runnable_limit_seconds <= 86400
    error_message = "AWS Batch allows 600 to 86400 seconds."
  }
}

variable "job_attempts" {
  description = "Attempts of one job; a lost host, a container that never started, exit code 75 and SIGTERM (143) lead to another."
  type        = number
  default     = 3

  validation {
    condition     = var.job_attempts >= 1 && var.job_attempts <= 10
    error_message = "AWS Batch allows 1 to 10 attempts."
  }
}

variable "root_volume_gib" {
  description = "Disk of each instance, for images and scratch files."
  type        = number
  default     = 60

  validation {
    condition     = var.root_volume_gib >= 30
    error_message = "The ECS image alone needs 30 GiB."
  }
}

variable "log_retention_days" {
  description = "Days that job logs are kept; a value CloudWatch knows."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400 … days."
  }
}
