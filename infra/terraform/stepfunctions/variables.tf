# What an operator decides about the bucket, time limits, retries, notifications and idle vLLM.

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
  description = "Bucket that holds the data of all quarters; the state machine serves no other."
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

# --- limits and retries ------------------------------------------------------------------------

variable "max_concurrent_batches" {
  description = "Map jobs at once: 4 for each vLLM instance that a run uses; more only wait for answers."
  type        = number
  default     = 4

  validation {
    condition     = var.max_concurrent_batches >= 1 && var.max_concurrent_batches <= 1000
    error_message = "Give 1 to 1000."
  }
}

variable "plan_timeout_seconds" {
  description = "Longest time the plan job may take with its time in the queue. It takes a minute once it has an instance."
  type        = number
  default     = 3600

  validation {
    condition     = var.plan_timeout_seconds >= 600 && var.plan_timeout_seconds <= 86400
    error_message = "Give between ten minutes and one day, in seconds."
  }
}

variable "task_timeout_seconds" {
  description = "Longest time one job may take with all its attempts and its time in the queue."
  type        = number
  default     = 172800

  validation {
    condition     = var.task_timeout_seconds >= 60 && var.task_timeout_seconds <= 604800
    error_message = "Give between one minute and seven days, in seconds."
  }
}

variable "execution_timeout_seconds" {
  description = "Longest time one quarter may take."
  type        = number
  default     = 259200

  validation {
    condition     = var.execution_timeout_seconds > var.task_timeout_seconds
    error_message = "A quarter takes longer than one of its jobs."
  }
}

variable "retryable_submissions" {
  description = "Times a job whose end may be temporary (75, 143, no exit code, lost host) is submitted in all; each has its own attempts in AWS Batch."
  type        = number
  default     = 3

  validation {
    condition     = var.retryable_submissions >= 1 && var.retryable_submissions <= 10
    error_message = "Give 1 to 10."
  }
}

variable "retryable_wait_seconds" {
  description = "Wait before such a job is submitted again."
  type        = number
  default     = 300

  validation {
    condition     = var.retryable_wait_seconds >= 1 && var.retryable_wait_seconds <= 86400
    error_message = "Give 1 second to one day."
  }
}

# --- idle vLLM ---------------------------------------------------------------------------------

variable "enable_vllm" {
  description = "Watch the vLLM of the ecs module and turn it off when idle; false where an LLM is given by URL."
  type        = bool
  default     = true
}

variable "idle_seconds" {
  description = "Time vLLM may be up without a run before it is turned off."
  type        = number
  default     = 3600

  validation {
    condition     = var.idle_seconds >= 1 && var.idle_seconds <= 86400
    error_message = "Give 1 second to one day."
  }
}

variable "idle_seconds_after_run" {
  description = "Time vLLM stays up after a run has ended, for another to follow."
  type        = number
  default     = 600

  validation {
    condition     = var.idle_seconds_after_run >= 1 && var.idle_seconds_after_run <= 86400
    error_message = "Give 1 second to one day."
  }
}

variable "deadman_interval_minutes" {
  description = "Time between two checks for an idle vLLM."
  type        = number
  default     = 15

  validation {
    condition     = var.deadman_interval_minutes >= 2 && var.deadman_interval_minutes <= 60
    error_message = "Give 2 to 60 minutes."
  }
}

# --- notifications and traces ------------------------------------------------------------------

variable "enable_notifications" {
  description = "Make an SNS topic that is notified of the end of each run."
  type        = bool
  default     = false
}

variable "notification_email" {
  description = "Address that subscribes to the topic (it must confirm by mail); empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.notification_email == "" || (var.enable_notifications && can(regex("^[^@ ]+@[^@ ]+$", var.notification_email)))
    error_message = "Give an address, together with enable_notifications."
  }
}

variable "notification_topic_arn" {
  description = "An existing SNS topic in place of an own one; empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.notification_topic_arn == "" || (startswith(var.notification_topic_arn, "arn:") && !var.enable_notifications)
    error_message = "Give the ARN of a topic, and leave enable_notifications off."
  }
}

variable "enable_alarms" {
  description = "Alarm on failed runs and on a vLLM that is up without a request; needs a topic of notifications."
  type        = bool
  default     = false

  validation {
    condition     = !var.enable_alarms || var.enable_notifications || var.notification_topic_arn != ""
    error_message = "Alarms notify a topic: set enable_notifications or notification_topic_arn."
  }
}

variable "monthly_budget_usd" {
  description = "Monthly budget on the tag Project = ftm, with mails at 80 % spent and 100 % forecast; 0 for none."
  type        = number
  default     = 0

  validation {
    condition     = var.monthly_budget_usd >= 0
    error_message = "Give a number of dollars, or 0."
  }
}

variable "budget_email" {
  description = "Address that AWS Budgets writes to."
  type        = string
  default     = ""

  validation {
    condition     = var.monthly_budget_usd == 0 || can(regex("^[^@ ]+@[^@ ]+$", var.budget_email))
    error_message = "A budget needs an address to write to."
  }
}

variable "enable_xray" {
  description = "Trace executions with X-Ray."
  type        = bool
  default     = false
}

variable "enable_execution_logs" {
  description = "Write execution errors to CloudWatch, beside the history that Step Functions keeps for 90 days."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days that execution logs are kept; a value CloudWatch knows."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400 … days."
  }
}

# --- roles -------------------------------------------------------------------------------------

variable "use_precreated_roles" {
  description = "Use roles that an administrator made under the names below, and create none."
  type        = bool
  default     = false
}

variable "role_names" {
  description = "Names of the roles, where they differ from the roles module's defaults."
  type = object({
    quarter_processor = optional(string)
    deadman           = optional(string)
    events            = optional(string)
  })
  default = {}
}

variable "notification_key_id" {
  description = "KMS key of the own topic; EventBridge can write to it only with a key of one's own, so null leaves the topic to SNS's encryption at rest."
  type        = string
  default     = null
}
