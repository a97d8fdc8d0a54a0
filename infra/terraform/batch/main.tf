# Network, machines and queue of the jobs. Nothing here runs, or costs anything, without a job.

locals {
  tags = merge(var.tags, { Project = "ftm", Module = "batch" })

  # One job of 4 vCPUs and 14 GiB fills an m or r xlarge. A c type of the same vCPUs has half the
  # memory, so the job would pay for twice the vCPUs. All types have AVX2.
  cpu_instance_types = [
    "m6i.xlarge", "m7i.xlarge", "r6i.xlarge", "r7i.xlarge", "m6i.2xlarge", "m7i.2xlarge", "r6i.2xlarge",
  ]
  gpu_instance_types = ["g4dn.xlarge", "g5.xlarge", "g6.xlarge"]
  instance_types = (
    length(var.batch_instance_types) > 0 ? var.batch_instance_types :
    var.use_gpu ? local.gpu_instance_types : local.cpu_instance_types
  )

  vpc_id     = var.vpc_id != null ? var.vpc_id : data.aws_vpc.default[0].id
  subnet_ids = length(var.subnet_ids) > 0 ? var.subnet_ids : data.aws_subnets.all[0].ids
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_vpc" "default" {
  count   = var.vpc_id == null ? 1 : 0
  default = true
}

data "aws_subnets" "all" {
  count = length(var.subnet_ids) == 0 ? 1 : 0

  filter {
    name   = "vpc-id"
    values = [local.vpc_id]
  }

  # One a zone, each with a way out: subnets that somebody added may have none.
  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

# --- network -----------------------------------------------------------------------------------

# The ecs module looks this group up by its name, to let the jobs and nothing else reach vLLM.
resource "aws_security_group" "batch" {
  # checkov:skip=CKV2_AWS_5:Attached through the launch template's compute environments, which the check does not follow.
  name        = "ftm-batch-sg"
  description = "Jobs of ftm: no way in, out to AWS and to the LLM"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "ftm-batch-sg" })
}

# S3, ECR, CloudWatch and Secrets Manager answer on 443; their addresses cannot be named.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.batch.id
  description       = "AWS services"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = local.tags
}

# vLLM's load balancer listens on 80; an LLM given by URL is reached on the port it names.
resource "aws_vpc_security_group_egress_rule" "llm" {
  count = local.llm_port == 443 ? 0 : 1

  security_group_id = aws_security_group.batch.id
  description       = "LLM server"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = local.llm_port
  to_port           = local.llm_port
  tags              = local.tags
}

# --- machines ----------------------------------------------------------------------------------

resource "aws_launch_template" "batch" {
  name_prefix            = "ftm-batch-"
  description            = "Instances of the ftm jobs"
  update_default_version = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # Batch runs containers on EC2 with the host's network, so one hop reaches every job. The jobs
    # need the metadata for Spot's notice. What their instance's role may do is therefore narrow.
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = var.root_volume_gib
      volume_type           = "gp3"
      encrypted             = "true"
      delete_on_termination = "true"
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(local.tags, { Name = "ftm-batch" })
  }

  tag_specifications {
    resource_type = "volume"
    tags          = local.tags
  }

  tags = local.tags
}

locals {
  compute_environments = merge(
    var.use_spot ? { spot = { type = "SPOT", allocation_strategy = "SPOT_CAPACITY_OPTIMIZED" } } : {},
    { on-demand = { type = "EC2", allocation_strategy = "BEST_FIT_PROGRESSIVE" } },
  )
}

resource "aws_batch_compute_environment" "jobs" {
  for_each = local.compute_environments

  # A name of its own for each generation lets a replacement exist beside the old one, which the
  # queue still uses.
  compute_environment_name_prefix = "ftm-${each.key}-"
  type                            = "MANAGED"
  state                           = "ENABLED"

  compute_resources {
    type                = each.value.type
    allocation_strategy = each.value.allocation_strategy
    min_vcpus           = 0
    max_vcpus           = var.max_vcpus
    instance_type       = local.instance_types
    instance_role       = local.instance_profile_arn
    security_group_ids  = [aws_security_group.batch.id]
    subnets             = local.subnet_ids
    tags                = merge(local.tags, { Name = "ftm-batch" })

    ec2_configuration {
      image_type = var.use_gpu ? "ECS_AL2023_NVIDIA" : "ECS_AL2023"
    }

    launch_template {
      launch_template_id = aws_launch_template.batch.id
      # A number, because Batch resolves "$Latest" only when it makes or updates the environment.
      version = aws_launch_template.batch.latest_version
    }
  }

  tags = local.tags

  lifecycle {
    create_before_destroy = true
    # Batch itself moves this number with its queue.
    ignore_changes = [compute_resources[0].desired_vcpus]
  }

  # Without its role an environment cannot be taken down.
  depends_on = [aws_iam_role_policy.created]
}

locals {
  no_instance_reasons = [
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
  ]
}

resource "aws_batch_job_queue" "main" {
  name     = "ftm-queue-main"
  state    = "ENABLED"
  priority = 1

  # Spot is asked first; what it cannot place runs on demand.
  dynamic "compute_environment_order" {
    for_each = [for kind in ["spot", "on-demand"] : kind if contains(keys(local.compute_environments), kind)]

    content {
      order               = compute_environment_order.key + 1
      compute_environment = aws_batch_compute_environment.jobs[compute_environment_order.value].arn
    }
  }

  # Without these a job that gets no instance waits for ever, and vLLM with it. The reasons are the
  # ones that AWS Batch gives to a job at the head of its queue.
  dynamic "job_state_time_limit_action" {
    for_each = local.no_instance_reasons

    content {
      action           = "CANCEL"
      state            = "RUNNABLE"
      max_time_seconds = var.runnable_limit_seconds
      reason           = job_state_time_limit_action.value
    }
  }

  tags = local.tags
}
