# The three job definitions: what runs, with which settings, and which failures are tried again.

locals {
  # The second pass of the deploy reads the URL that the ecs module wrote.
  llm_base_url = (
    var.llm_base_url != "" ? var.llm_base_url :
    var.enable_vllm ? data.aws_ssm_parameter.vllm_base_url[0].insecure_value : ""
  )
  llm_port = tonumber(try(
    regex("^https?://[^/:]+:([0-9]+)/", var.llm_base_url)[0],
    startswith(var.llm_base_url, "https://") ? "443" : "80",
  ))

  # One environment for all jobs of a run: settings that rows depend on are part of the run's
  # identity, so plan, map and reduce must agree on them.
  environment = merge(var.use_gpu ? {
    # 8-bit integers are for processors; a GPU takes the embedding model as it is.
    EMBEDDING_PRECISION = "float32"
    } : {}, var.settings_environment, {
    LLM_MODEL_NAME      = var.vllm_model
    LLM_MAX_CONCURRENT  = tostring(var.llm_max_concurrent)
    CHECKPOINT_INTERVAL = tostring(var.checkpoint_interval)
    AWS_DEFAULT_REGION  = var.aws_region
  }, local.llm_base_url == "" ? {} : { LLM_BASE_URL = local.llm_base_url })

  map_image = (
    var.map_image_uri != "" ? var.map_image_uri :
    "${aws_ecr_repository.images["map"].repository_url}:${var.image_tag}"
  )
  reduce_image = (
    var.reduce_image_uri != "" ? var.reduce_image_uri :
    "${aws_ecr_repository.images["reduce"].repository_url}:${var.image_tag}"
  )

  jobs = {
    plan = {
      name    = "ftm-quarter-planner"
      image   = local.map_image
      command = "plan"
      stream  = "quarter-planner"
      vcpus   = var.job_sizes.plan_vcpus
      memory  = var.job_sizes.plan_memory
      gpu     = false
    }
    map = {
      name    = "ftm-firm-processor"
      image   = local.map_image
      command = "map"
      stream  = "firm-processor"
      vcpus   = var.job_sizes.map_vcpus
      memory  = var.job_sizes.map_memory
      gpu     = var.use_gpu
    }
    reduce = {
      name    = "ftm-theme-aggregator"
      image   = local.reduce_image
      command = "reduce"
      stream  = "theme-aggregator"
      vcpus   = var.job_sizes.reduce_vcpus
      memory  = var.job_sizes.reduce_memory
      gpu     = false
    }
  }
}

data "aws_ssm_parameter" "vllm_base_url" {
  count = var.enable_vllm ? 1 : 0
  name  = "/ftm/vllm/base_url"
}

resource "aws_batch_job_definition" "jobs" {
  for_each = local.jobs

  name                  = each.value.name
  type                  = "container"
  platform_capabilities = ["EC2"]
  propagate_tags        = true

  container_properties = jsonencode({
    image            = each.value.image
    command          = [each.value.command]
    jobRoleArn       = local.job_role_arn
    executionRoleArn = local.execution_role_arn

    resourceRequirements = concat(
      [
        { type = "VCPU", value = tostring(each.value.vcpus) },
        { type = "MEMORY", value = tostring(each.value.memory) },
      ],
      each.value.gpu ? [{ type = "GPU", value = "1" }] : [],
    )

    environment = [
      for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }
    ]
    secrets = (
      var.llm_api_key_secret_arn == "" ? [] :
      [{ name = "LLM_API_KEY", valueFrom = var.llm_api_key_secret_arn }]
    )

    privileged = false
    # A process of its own as number 1 passes Spot's SIGTERM on to Python and reaps its workers.
    linuxParameters = { initProcessEnabled = true }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.batch.name
        "awslogs-region"        = var.aws_region
        "awslogs-stream-prefix" = each.value.stream
      }
    }
  })

  # The first rule that fits decides. A lost host and exit code 75 are tried again; 1, 2, 3 and
  # everything else are not, because a second attempt could only fail the same way.
  retry_strategy {
    attempts = var.job_attempts

    evaluate_on_exit {
      on_status_reason = "Host EC2*"
      action           = "retry"
    }
    evaluate_on_exit {
      on_exit_code = "75"
      action       = "retry"
    }
    evaluate_on_exit {
      on_exit_code = "*"
      action       = "exit"
    }
    # A job that ended without an exit code, for example because its image is missing.
    evaluate_on_exit {
      on_reason = "*"
      action    = "exit"
    }
  }

  timeout {
    attempt_duration_seconds = var.job_timeout_seconds
  }

  tags = local.tags
}

resource "aws_cloudwatch_log_group" "batch" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; the logs hold counts and errors, no secrets or text of calls.
  # checkov:skip=CKV_AWS_338:The operator chooses how long logs are kept and paid for; the evidence of a run is in S3.
  name              = "/aws/batch/ftm"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}
