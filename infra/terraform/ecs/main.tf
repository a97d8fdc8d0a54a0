# vLLM on GPU instances: a cluster, a group of instances that starts at 0, and the service on them.

locals {
  tags = merge(var.tags, { Project = "ftm", Module = "ecs" })

  vpc_id     = var.vpc_id != null ? var.vpc_id : data.aws_vpc.default[0].id
  subnet_ids = length(var.subnet_ids) > 0 ? var.subnet_ids : data.aws_subnets.all[0].ids
  ami_id     = var.gpu_ami_id != "" ? var.gpu_ami_id : data.aws_ssm_parameter.gpu_ami[0].insecure_value
  vllm_port  = 8000

  # Network mode host: vLLM then reaches the hub through its instance, also where tasks get no
  # public address. One task an instance, so the port is free.
  cache_folder = "/models"
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

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

data "aws_subnet" "each" {
  count = length(local.subnet_ids)
  id    = local.subnet_ids[count.index]
}

# A load balancer and a file system each take one subnet a zone, however many the zone has.
locals {
  subnets_by_zone = { for subnet in data.aws_subnet.each : subnet.availability_zone => subnet.id... }
  subnet_of_zone  = { for zone, ids in local.subnets_by_zone : zone => sort(ids)[0] }
}

data "aws_ssm_parameter" "gpu_ami" {
  count = var.gpu_ami_id == "" ? 1 : 0
  name  = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
}

# --- cluster and instances -----------------------------------------------------------------------

resource "aws_ecs_cluster" "vllm" {
  # checkov:skip=CKV_AWS_65:Container Insights bills by metric around the clock; vLLM's log and the target group's metrics suffice for one service.
  name = "ftm-vllm-cluster"
  tags = local.tags
}

resource "aws_launch_template" "vllm" {
  name_prefix            = "ftm-vllm-"
  description            = "GPU instances of vLLM"
  image_id               = local.ami_id
  instance_type          = var.instance_type
  update_default_version = true
  vpc_security_group_ids = [aws_security_group.vllm.id]

  iam_instance_profile {
    arn = local.instance_profile_arn
  }

  # Draining gives a task on a reclaimed Spot instance its two minutes to finish answers.
  user_data = base64encode(<<-CONFIGURATION
    #!/bin/bash
    cat >> /etc/ecs/ecs.config <<'EOT'
    ECS_CLUSTER=${aws_ecs_cluster.vllm.name}
    ECS_ENABLE_GPU_SUPPORT=true
    ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
    ECS_IMAGE_PULL_BEHAVIOR=prefer-cached
    EOT
  CONFIGURATION
  )

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
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
    tags          = merge(local.tags, { Name = "ftm-vllm" })
  }

  tag_specifications {
    resource_type = "volume"
    tags          = local.tags
  }

  tags = local.tags
}

resource "aws_autoscaling_group" "vllm" {
  name                = "ftm-vllm-asg"
  min_size            = 0
  max_size            = var.max_capacity
  desired_capacity    = 0
  vpc_zone_identifier = local.subnet_ids

  # This group checks only that the instance is up. The service checks the model's health:
  # checks of the load balancer here would replace an instance that is still loading.
  health_check_type         = "EC2"
  health_check_grace_period = 300
  wait_for_capacity_timeout = "0"
  # It would replace a serving instance to even the zones out, in the middle of a run.
  suspended_processes = ["AZRebalance"]
  # Free of charge; the alarm on an idle vLLM reads it.
  enabled_metrics = ["GroupInServiceInstances"]

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = var.on_demand_base_capacity
      on_demand_percentage_above_base_capacity = 100 - var.spot_percentage
      on_demand_allocation_strategy            = "prioritized"
      spot_allocation_strategy                 = "capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.vllm.id
        version            = "$Latest"
      }

      dynamic "override" {
        for_each = distinct(concat([var.instance_type], var.alternative_instance_types))

        content {
          instance_type = override.value
        }
      }
    }
  }

  dynamic "tag" {
    for_each = merge(local.tags, { Name = "ftm-vllm" })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    # The count belongs to the operator and to the deadman's switch; an apply must never start a
    # GPU, nor take one from a run.
    ignore_changes = [desired_capacity]
  }

  # An instance that cannot join the cluster would cost and serve nothing.
  depends_on = [aws_iam_role_policy.created]
}

# --- service -------------------------------------------------------------------------------------

resource "aws_ecs_task_definition" "vllm" {
  # checkov:skip=CKV_AWS_336:vLLM compiles kernels and writes caches into its own root; the model's files lie on a volume.
  family                   = "ftm-vllm"
  requires_compatibilities = ["EC2"]
  network_mode             = "host"
  task_role_arn            = local.task_role_arn
  execution_role_arn       = local.execution_role_arn

  container_definitions = jsonencode([{
    name              = "vllm"
    image             = var.vllm_image
    essential         = true
    memoryReservation = var.memory_reservation_mib
    # Time for answers in flight when the service is scaled down.
    stopTimeout = 120

    # Thinking is off at the server too, so that a caller who forgets gets plain answers.
    command = concat([
      "--model", var.vllm_model,
      "--served-model-name", var.vllm_model,
      "--host", "0.0.0.0",
      "--port", tostring(local.vllm_port),
      "--max-model-len", tostring(var.max_model_len),
      "--tensor-parallel-size", tostring(var.gpus_per_instance),
      "--enable-prefix-caching",
      "--default-chat-template-kwargs", jsonencode({ enable_thinking = false }),
    ], var.vllm_extra_arguments)

    environment = concat(
      [
        { name = "DO_NOT_TRACK", value = "1" },
        { name = "HF_HUB_DISABLE_TELEMETRY", value = "1" },
        # The server must keep a connection longer than the load balancer does. Otherwise it closes
        # one that the balancer is about to use, and the caller sees a 502.
        { name = "VLLM_HTTP_TIMEOUT_KEEP_ALIVE", value = tostring(var.request_timeout_seconds + 10) },
      ],
      var.enable_model_cache ? [{ name = "HF_HOME", value = local.cache_folder }] : [],
    )
    secrets = (
      var.huggingface_token_secret_arn == "" ? [] :
      [{ name = "HF_TOKEN", valueFrom = var.huggingface_token_secret_arn }]
    )

    portMappings = [{ containerPort = local.vllm_port, hostPort = local.vllm_port, protocol = "tcp" }]
    mountPoints = (
      var.enable_model_cache ? [{ sourceVolume = "models", containerPath = local.cache_folder, readOnly = false }] : []
    )

    resourceRequirements = [{ type = "GPU", value = tostring(var.gpus_per_instance) }]
    # Shared memory between the workers of one model.
    linuxParameters = { initProcessEnabled = true, sharedMemorySize = 2048 }

    # No container health check: its longest start period (300 s) is shorter than a model load, so
    # it would kill vLLM while it loads. The load balancer checks, after model_load_seconds.

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.vllm.name
        "awslogs-region"        = var.aws_region
        "awslogs-stream-prefix" = "vllm"
      }
    }
  }])

  dynamic "volume" {
    for_each = var.enable_model_cache ? [1] : []

    content {
      name = "models"

      efs_volume_configuration {
        file_system_id     = aws_efs_file_system.models[0].id
        transit_encryption = "ENABLED"

        authorization_config {
          access_point_id = aws_efs_access_point.models[0].id
          iam             = "ENABLED"
        }
      }
    }
  }

  tags = local.tags
}

resource "aws_ecs_service" "vllm" {
  name            = "ftm-vllm-service"
  cluster         = aws_ecs_cluster.vllm.id
  task_definition = aws_ecs_task_definition.vllm.arn
  launch_type     = "EC2"
  desired_count   = 0

  # Until this time has passed the load balancer's verdict is ignored: a loading model is not dead.
  health_check_grace_period_seconds = var.model_load_seconds

  # One task an instance, and no spare GPU to deploy beside the old one.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  placement_constraints {
    type = "distinctInstance"
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.vllm.arn
    container_name   = "vllm"
    container_port   = local.vllm_port
  }

  propagate_tags = "SERVICE"
  tags           = local.tags

  lifecycle {
    # The operator's count, as with the instances above.
    ignore_changes = [desired_count]
  }

  depends_on = [aws_lb_listener.vllm]
}

resource "aws_cloudwatch_log_group" "vllm" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; vLLM logs requests by path and size, not their text.
  # checkov:skip=CKV_AWS_338:The operator chooses how long logs are kept and paid for; the evidence of a run is in S3.
  name              = "/ecs/ftm-vllm"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}
