# All roles of ftm: who may assume each, and what it may do.

locals {
  regional = "${var.region}:${var.account_id}"
  bucket   = "arn:${var.partition}:s3:::${var.bucket}"

  batch_arn  = "arn:${var.partition}:batch:${local.regional}"
  ecs_arn    = "arn:${var.partition}:ecs:${local.regional}"
  logs_arn   = "arn:${var.partition}:logs:${local.regional}"
  states_arn = "arn:${var.partition}:states:${local.regional}"

  # Names that the other modules give; a test compares them.
  queue           = "ftm-queue-main"
  job_definitions = ["ftm-quarter-planner", "ftm-firm-processor", "ftm-theme-aggregator"]
  state_machine   = "ftm-quarter-processor"
  deadman_machine = "ftm-vllm-deadman"
  cluster         = "ftm-vllm-cluster"
  service         = "ftm-vllm-service"
  group           = "ftm-vllm-asg"

  # Read: the transcripts, and what an earlier stage or attempt of the same quarter left.
  readable_prefixes = ["prefetch/transcripts/", "progress/", "intermediate/", "processed/", "sentiment-ready/"]
  # Written, and cleared by --restart: everything but the transcripts.
  writable_prefixes = ["progress/", "intermediate/", "processed/", "sentiment-ready/"]

  roles = {
    for kind, role in local.descriptions : kind => {
      module           = role.module
      name             = var.names[kind]
      instance_profile = try(var.names[role.profile], null)
      description      = role.description
      policy_name      = length(role.statements) == 0 ? null : role.policy_name
      policy = length(role.statements) == 0 ? null : jsonencode({
        Version   = "2012-10-17"
        Statement = role.statements
      })
      trust = jsonencode({
        Version = "2012-10-17"
        Statement = [merge(
          {
            Effect    = "Allow"
            Action    = "sts:AssumeRole"
            Principal = { Service = role.services }
          },
          # EC2 itself assumes an instance's role without naming an account.
          {
            for name, value in { Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } } } :
            name => value if !contains(role.services, "ec2.amazonaws.com")
          },
        )]
      })
    }
  }

  descriptions = {
    job = {
      module      = "batch"
      profile     = null
      description = "Code of the ftm jobs: the data of quarters in one bucket, nothing else"
      services    = ["ecs-tasks.amazonaws.com"]
      policy_name = "quarters-in-s3"
      statements  = local.job
    }
    batch_execution = {
      module      = "batch"
      profile     = null
      description = "Starts the ftm jobs: pulls images, opens log streams, reads the LLM key"
      services    = ["ecs-tasks.amazonaws.com"]
      policy_name = "start-jobs"
      statements  = local.batch_execution
    }
    batch_instance = {
      module      = "batch"
      profile     = "batch_profile"
      description = "Instances of the ftm jobs: join the cluster that AWS Batch makes"
      services    = ["ec2.amazonaws.com"]
      policy_name = "join-the-cluster"
      statements  = concat(local.agent, local.agent_in_any_cluster, local.pull_images, local.write_batch_logs)
    }
    vllm_task = {
      module      = "ecs"
      profile     = null
      description = "vLLM: mounts the model files, nothing else"
      services    = ["ecs-tasks.amazonaws.com"]
      # Its one right, to mount the model's files, stands in the file system's own policy.
      policy_name = null
      statements  = []
    }
    vllm_execution = {
      module      = "ecs"
      profile     = null
      description = "Starts vLLM: opens log streams, reads the hub token"
      services    = ["ecs-tasks.amazonaws.com"]
      policy_name = "start-vllm"
      statements  = local.vllm_execution
    }
    vllm_instance = {
      module      = "ecs"
      profile     = "vllm_profile"
      description = "GPU instances: join the cluster ftm-vllm-cluster"
      services    = ["ec2.amazonaws.com"]
      policy_name = "join-the-cluster"
      statements  = concat(local.agent, local.agent_in_vllm_cluster, local.pull_vllm, local.write_vllm_logs)
    }
    quarter_processor = {
      module      = "stepfunctions"
      profile     = null
      description = "Runs a quarter: submits the ftm jobs and reads the plan"
      services    = ["states.amazonaws.com"]
      policy_name = "run-quarters"
      statements  = local.quarter_processor
    }
    deadman = {
      module      = "stepfunctions"
      profile     = null
      description = "Deadman switch: watches vLLM and runs, and scales an idle vLLM to 0"
      services    = ["states.amazonaws.com"]
      policy_name = "turn-idle-vllm-off"
      statements  = local.deadman
    }
    events = {
      module      = "stepfunctions"
      profile     = null
      description = "Starts the deadman switch, by the clock and at the end of runs"
      services    = ["events.amazonaws.com", "scheduler.amazonaws.com"]
      policy_name = "start-deadman"
      statements = [{
        Sid      = "StartDeadman"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = ["${local.states_arn}:stateMachine:${local.deadman_machine}"]
      }]
    }
  }
}
