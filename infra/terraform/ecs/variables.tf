# What an operator decides about the model, its machines, the network and roles.

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

variable "vpc_id" {
  description = "VPC of vLLM, the same as the jobs'; null takes the account's default VPC."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets in at least two zones, with a way out to the model's hub; empty takes the default VPC's default subnets."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.subnet_ids) != 1
    error_message = "A load balancer needs subnets in two zones at least."
  }

  validation {
    condition     = var.vpc_id == null || length(var.subnet_ids) > 0
    error_message = "With vpc_id, give subnet_ids: only you know which subnets have a way out."
  }
}

# --- model -------------------------------------------------------------------------------------

variable "vllm_model" {
  description = "Model that vLLM loads and serves under this name."
  type        = string
  default     = "Qwen/Qwen3-8B"

  validation {
    condition     = length(trimspace(var.vllm_model)) > 0
    error_message = "A model name cannot be empty."
  }
}

variable "vllm_image" {
  description = "vLLM's image, pinned by version or digest."
  type        = string
  default     = "vllm/vllm-openai:v0.32.0"

  validation {
    condition     = can(regex("(:v?[0-9][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.vllm_image))
    error_message = "Pin the image by a version tag or a digest."
  }
}

variable "max_model_len" {
  description = "Longest context in tokens; the jobs cut their prompts to it."
  type        = number
  default     = 8192

  validation {
    condition     = var.max_model_len >= 1024
    error_message = "Prompts and answers need 1,024 tokens at least."
  }
}

variable "vllm_extra_arguments" {
  description = "Further arguments of the vLLM server, for example [\"--quantization\", \"fp8\"]."
  type        = list(string)
  default     = []
}

variable "huggingface_token_secret_arn" {
  description = "Secrets Manager secret with a hub token, for gated models; empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.huggingface_token_secret_arn == "" || startswith(var.huggingface_token_secret_arn, "arn:")
    error_message = "Give the ARN of a secret, or leave it empty."
  }
}

variable "enable_model_cache" {
  description = "Keep the model's files on EFS, so that a new instance need not fetch 16 GB again."
  type        = bool
  default     = true
}

variable "model_load_seconds" {
  description = "Time a new task has for fetching and loading the model before health checks may end it."
  type        = number
  default     = 1800

  validation {
    condition     = var.model_load_seconds >= 600 && var.model_load_seconds <= 7200
    error_message = "A first load fetches 16 GB: give it ten minutes at least, two hours at most."
  }
}

variable "request_timeout_seconds" {
  description = "Longest the load balancer waits for one answer; must exceed the jobs' LLM_TIMEOUT (60)."
  type        = number
  default     = 300

  validation {
    condition     = var.request_timeout_seconds > 60 && var.request_timeout_seconds <= 4000
    error_message = "Give more than the jobs' 60 seconds, and at most 4000."
  }
}

# --- machines ----------------------------------------------------------------------------------

variable "instance_type" {
  description = "GPU instance type asked for first."
  type        = string
  default     = "g5.xlarge"

  validation {
    condition     = can(regex("^(g|p)[0-9][a-z0-9-]*\\.[a-z0-9]+$", var.instance_type))
    error_message = "Give a GPU type, g or p, such as g5.xlarge."
  }
}

variable "alternative_instance_types" {
  description = "Types with as much GPU memory, taken when the first has no capacity."
  type        = list(string)
  default     = ["g6.xlarge", "g5.2xlarge", "g6.2xlarge"]
}

variable "gpus_per_instance" {
  description = "GPUs of one instance; vLLM spreads the model over all of them."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 4, 8], var.gpus_per_instance)
    error_message = "Instances have 1, 2, 4 or 8 GPUs."
  }
}

variable "memory_reservation_mib" {
  description = "Memory that a task asks for on its instance; must fit the smallest type above."
  type        = number
  default     = 12288
}

variable "gpu_ami_id" {
  description = "Image of the instances; empty takes the ECS image with GPU drivers that AWS recommends now."
  type        = string
  default     = ""

  validation {
    condition     = var.gpu_ami_id == "" || can(regex("^ami-[0-9a-f]{8,17}$", var.gpu_ami_id))
    error_message = "Give an image id such as ami-0123456789abcdef0, or leave it empty."
  }
}

variable "max_capacity" {
  description = "Most instances an operator may scale to."
  type        = number
  default     = 4

  validation {
    condition     = var.max_capacity >= 1 && var.max_capacity <= 100 && floor(var.max_capacity) == var.max_capacity
    error_message = "Give a whole number from 1 to 100."
  }
}

variable "on_demand_base_capacity" {
  description = "Instances that are on demand before Spot is used; counts only while the operator's count is above 0."
  type        = number
  default     = 1

  validation {
    condition     = var.on_demand_base_capacity >= 0 && floor(var.on_demand_base_capacity) == var.on_demand_base_capacity
    error_message = "Give a whole number of at least 0."
  }
}

variable "spot_percentage" {
  description = "Share of Spot among the instances above the on-demand base."
  type        = number
  default     = 100

  validation {
    condition     = var.spot_percentage >= 0 && var.spot_percentage <= 100
    error_message = "A share is 0 to 100."
  }
}

variable "root_volume_gib" {
  description = "Disk of each instance; without the model cache it also holds the model."
  type        = number
  default     = 100

  validation {
    condition     = var.root_volume_gib >= 60
    error_message = "vLLM's image alone needs 60 GiB when unpacked."
  }
}

# --- roles and logs ----------------------------------------------------------------------------

variable "use_precreated_roles" {
  description = "Use roles that an administrator made under the names below, and create none."
  type        = bool
  default     = false
}

variable "role_names" {
  description = "Names of the roles, where they differ from the roles module's defaults."
  type = object({
    vllm_task      = optional(string)
    vllm_execution = optional(string)
    vllm_instance  = optional(string)
    vllm_profile   = optional(string)
  })
  default = {}
}

variable "log_retention_days" {
  description = "Days that vLLM's logs are kept; a value CloudWatch knows."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400 … days."
  }
}
