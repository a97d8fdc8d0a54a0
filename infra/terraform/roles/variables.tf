# What the roles depend on. The other modules pass what they know, `ftm deploy --roles` passes all.

variable "account_id" {
  description = "Account of the roles."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account is twelve digits."
  }
}

variable "partition" {
  description = "Partition of the account: aws, aws-cn or aws-us-gov."
  type        = string
  default     = "aws"
}

variable "region" {
  description = "Region of everything that the roles may use."
  type        = string
}

variable "bucket" {
  description = "Bucket that holds the data of all quarters; empty where no role with bucket rights is used."
  type        = string
  default     = ""
}

variable "state_bucket" {
  description = "Bucket of Terraform's state, for the operator; empty for local state files."
  type        = string
  default     = ""
}

variable "kms_key_arn" {
  description = "KMS key of the bucket's default encryption; empty for S3's own."
  type        = string
  default     = ""
}

variable "image_repositories" {
  description = "ARNs of the ECR repositories that hold the images of the jobs."
  type        = list(string)
  default     = []
}

variable "vllm_repositories" {
  description = "ARNs of the ECR repositories that hold vLLM's image; empty for the public image."
  type        = list(string)
  default     = []
}

variable "llm_api_key_secret_arn" {
  description = "Secret with the LLM API key of the jobs; empty for none."
  type        = string
  default     = ""
}

variable "hub_token_secret_arn" {
  description = "Secret with the Hugging Face token of vLLM; empty for none."
  type        = string
  default     = ""
}

variable "notification_topic_arn" {
  description = "Topic that is notified when runs end; empty for none."
  type        = string
  default     = ""
}

variable "enable_execution_logs" {
  description = "Whether executions write logs."
  type        = bool
  default     = false
}

variable "enable_xray" {
  description = "Whether executions are traced."
  type        = bool
  default     = false
}

variable "names" {
  description = "Names of the roles and instance profiles, where they differ from the defaults."
  type = object({
    job               = optional(string, "ftm-batch-job-role")
    batch_execution   = optional(string, "ftm-batch-execution-role")
    batch_instance    = optional(string, "ftm-batch-instance-role")
    batch_profile     = optional(string, "ftm-batch-instance-profile")
    vllm_task         = optional(string, "ftm-vllm-task-role")
    vllm_execution    = optional(string, "ftm-vllm-execution-role")
    vllm_instance     = optional(string, "ftm-vllm-instance-role")
    vllm_profile      = optional(string, "ftm-vllm-instance-profile")
    quarter_processor = optional(string, "ftm-quarter-processor-role")
    deadman           = optional(string, "ftm-vllm-deadman-role")
    events            = optional(string, "ftm-events-role")
  })
  default = {}
}
