# Versions of Terraform and its provider, and the account that this module may touch.

terraform {
  # S3's own locking of state is stable from 1.11 on (docs/reference/infrastructure.md).
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region  = var.aws_region
  profile = var.aws_profile

  # With an account given, the provider itself refuses to work in any other.
  allowed_account_ids = var.aws_account_id == null ? null : [var.aws_account_id]
}
