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
    } : {}, {
    # A container sees all processors of its instance, of which its job has only a share.
    MAP_WORKERS = tostring(var.job_sizes.map_vcpus)
    }, var.settings_environment, {
    SPOT_METADATA_URL   = "http://169.254.169.254"
    LLM_MODEL_NAME      = var.vllm_model
    LLM_MAX_CONCURRENT  = tostring(var.llm_max_concurrent)
    CHECKPOINT_INTERVAL = tostring(var.checkpoint_interval)
    AWS_DEFAULT_REGION  = var.aws_region
  }, local.llm_base_url == "" ? {} : { LLM_BASE_URL = local.llm_base_url })

  # Known before the repository is there, so that the roles can be printed from a plan. One image
  # serves all jobs: they differ by their command.
  registry     = "${local.account}.dkr.ecr.${var.aws_region}.${data.aws_partition.current.dns_suffix}"
  own_image    = "${local.registry}/ftm-worker:${var.image_tag}"
  map_image    = var.map_image_uri != "" ? var.map_image_uri : local.own_image
  reduce_image = var.reduce_image_uri != "" ? var.reduce_image_uri : local.own_image

  jobs = {
    plan = {
      name    = "ftm-quarter-planner"
      image   = local.map_image
      command = "plan"
      stream  = "quarter-planner"
      vcpus   = var.job_sizes.plan_vcpus
      memory  = var.job_sizes.plan_memory
      # It takes a minute. The state machine waits for all three attempts within its own hour.
      timeout = min(var.job_timeout_seconds, 900)
      gpu     = false
    }
    map = {
      name    = "ftm-firm-processor"
      image   = local.map_image
      command = "map"
      stream  = "firm-processor"
      vcpus   = var.job_sizes.map_vcpus
      memory  = var.job_sizes.map_memory
      timeout = var.job_timeout_seconds
      gpu     = var.use_gpu
    }
    reduce = {
      name    = "ftm-theme-aggregator"
      image   = local.reduce_image
      command = "reduce"
      stream  = "theme-aggregator"
      vcpus   = var.job_sizes.reduce_vcpus
      memory  = var.job_sizes.reduce_memory
      timeout = var.job_timeout_seconds
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

  # AWS Batch allows five rules. The first whose conditions all match decides, and an end that none
  # matches is retried. docs/reference/failure-table.md lists every end, and a test runs these rules
  # over it.
  retry_strategy {
    attempts = var.job_attempts

    # The host was lost, for example to Spot. The container may have ended with 137 or 143.
    evaluate_on_exit {
      on_status_reason = "Host EC2*"
      action           = "retry"
    }
    # The container never ran: the pull failed, or Docker did not answer in time.
    evaluate_on_exit {
      on_status_reason = "Task failed to start"
      action           = "retry"
    }
    evaluate_on_exit {
      on_exit_code = "75"
      action       = "retry"
    }
    # SIGTERM before the worker could catch it ends with 143.
    evaluate_on_exit {
      on_exit_code = "14*"
      action       = "retry"
    }
    # 1, 2, 3 and 137 (out of memory) would only fail the same way.
    evaluate_on_exit {
      on_exit_code = "*"
      action       = "exit"
    }
  }

  timeout {
    attempt_duration_seconds = each.value.timeout
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
