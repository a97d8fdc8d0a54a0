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

# --- jobs ----------------------------------------------------------------------------------------

locals {
  job = concat(
    [
      {
        Sid      = "ReadQuarters"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for prefix in local.readable_prefixes : "${local.bucket}/${prefix}*"]
      },
      # Large parts go up in pieces; deleting serves --restart and stale parts.
      {
        Sid      = "WriteQuarters"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = [for prefix in local.writable_prefixes : "${local.bucket}/${prefix}*"]
      },
      # Listing is granted on a bucket and narrowed by prefix; without it a missing key reads as
      # "denied".
      {
        Sid       = "ListQuarters"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local.bucket]
        Condition = { StringLike = { "s3:prefix" = [for prefix in local.readable_prefixes : "${prefix}*"] } }
      },
    ],
    [for key in compact([var.kms_key_arn]) : {
      Sid      = "BucketKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [key]
    }],
  )

  batch_execution = concat(local.write_batch_logs, local.pull_images, [
    for secret in compact([var.llm_api_key_secret_arn]) : {
      Sid      = "LlmKey"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [secret]
    }
  ])

  vllm_execution = concat(local.write_vllm_logs, local.pull_vllm, [
    for secret in compact([var.hub_token_secret_arn]) : {
      Sid      = "HubToken"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [secret]
    }
  ])

  write_batch_logs = [{
    Sid      = "WriteLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${local.logs_arn}:log-group:/aws/batch/ftm:*"]
  }]
  write_vllm_logs = [{
    Sid      = "WriteLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${local.logs_arn}:log-group:/ecs/ftm-vllm:*"]
  }]

  pull_images = length(var.image_repositories) == 0 ? [] : local.pull["images"]
  pull_vllm   = length(var.vllm_repositories) == 0 ? [] : local.pull["vllm"]
  pull = {
    for what, repositories in { images = var.image_repositories, vllm = var.vllm_repositories } : what => [
      {
        Sid      = "PullImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = repositories
      },
      # The login knows no resources.
      {
        Sid      = "RegistryLogin"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
    ]
  }
}

# --- instances -----------------------------------------------------------------------------------

# What the ECS agent does, in place of AWS's managed policy. Jobs and vLLM share their instance's
# network and so can reach its role: it may join a cluster and report, and pull only our images.
locals {
  agent = [
    # An address to poll, which knows no resources.
    {
      Sid      = "FindTheService"
      Effect   = "Allow"
      Action   = ["ecs:DiscoverPollEndpoint"]
      Resource = ["*"]
    },
    # The agent reads its own instance's tags; describing knows no resources.
    {
      Sid      = "ReadTags"
      Effect   = "Allow"
      Action   = ["ec2:DescribeTags"]
      Resource = ["*"]
    },
    {
      Sid       = "TagItselfWhenJoining"
      Effect    = "Allow"
      Action    = ["ecs:TagResource"]
      Resource  = ["${local.ecs_arn}:container-instance/*"]
      Condition = { StringEquals = { "ecs:CreateAction" = ["RegisterContainerInstance"] } }
    },
  ]

  # Batch names the cluster itself.
  agent_in_any_cluster  = local.agent_in["*"]
  agent_in_vllm_cluster = local.agent_in[local.cluster]
  agent_in = {
    for cluster in ["*", local.cluster] : cluster => [
      {
        Sid    = "JoinAndReport"
        Effect = "Allow"
        Action = [
          "ecs:RegisterContainerInstance", "ecs:DeregisterContainerInstance", "ecs:SubmitAttachmentStateChanges",
          "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange",
        ]
        Resource = ["${local.ecs_arn}:cluster/${cluster}"]
      },
      {
        Sid      = "HearOfTasks"
        Effect   = "Allow"
        Action   = ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"]
        Resource = [cluster == "*" ? "${local.ecs_arn}:container-instance/*" : "${local.ecs_arn}:container-instance/${cluster}/*"]
      },
    ]
  }
}

# --- state machines ------------------------------------------------------------------------------

locals {
  quarter_processor = concat(
    [
      {
        Sid    = "SubmitJobs"
        Effect = "Allow"
        Action = ["batch:SubmitJob"]
        Resource = concat(
          ["${local.batch_arn}:job-queue/${local.queue}"],
          # Submitted by name: the name itself and every revision of it.
          [for name in local.job_definitions : "${local.batch_arn}:job-definition/${name}"],
          [for name in local.job_definitions : "${local.batch_arn}:job-definition/${name}:*"],
        )
      },
      # Stopping an execution stops its jobs.
      {
        Sid      = "StopJobs"
        Effect   = "Allow"
        Action   = ["batch:TerminateJob"]
        Resource = ["${local.batch_arn}:job/*"]
      },
      # AWS lets these actions be granted on all jobs only.
      {
        Sid      = "WatchJobs"
        Effect   = "Allow"
        Action   = ["batch:DescribeJobs", "batch:ListJobs"]
        Resource = ["*"]
      },
      # How Step Functions learns that a job has ended: a rule that it keeps itself, of this name.
      {
        Sid      = "HearOfJobs"
        Effect   = "Allow"
        Action   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
        Resource = ["arn:${var.partition}:events:${local.regional}:rule/StepFunctionsGetEventsForBatchJobsRule"]
      },
      {
        Sid    = "ReadPlan"
        Effect = "Allow"
        Action = ["s3:GetObject"]
        Resource = [
          "${local.bucket}/prefetch/transcripts/quarter=*/manifest.json",
          "${local.bucket}/progress/*/batches.json",
        ]
      },
      # Without it a missing manifest reads as "denied".
      {
        Sid       = "TellMissingFromDenied"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local.bucket]
        Condition = { StringLike = { "s3:prefix" = ["prefetch/transcripts/*", "progress/*"] } }
      },
      # The distributed Map starts executions of this same state machine, one a batch.
      {
        Sid      = "StartBatches"
        Effect   = "Allow"
        Action   = ["states:StartExecution"]
        Resource = ["${local.states_arn}:stateMachine:${local.state_machine}"]
      },
      {
        Sid    = "WatchBatches"
        Effect = "Allow"
        Action = ["states:DescribeExecution", "states:StopExecution"]
        Resource = [
          "${local.states_arn}:execution:${local.state_machine}:*",
          "${local.states_arn}:execution:${local.state_machine}/*",
        ]
      },
    ],
    [for key in compact([var.kms_key_arn]) : {
      Sid      = "BucketKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [key]
    }],
    local.notify,
    # AWS lets the delivery of logs be granted on everything only.
    [for _ in var.enable_execution_logs ? [1] : [] : {
      Sid    = "DeliverLogs"
      Effect = "Allow"
      Action = [
        "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
      ]
      Resource = ["*"]
    }],
    # The same holds for traces.
    [for _ in var.enable_xray ? [1] : [] : {
      Sid    = "Trace"
      Effect = "Allow"
      Action = [
        "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
      ]
      Resource = ["*"]
    }],
  )

  deadman = concat(
    [
      # Describing knows no resources.
      {
        Sid      = "WatchInstances"
        Effect   = "Allow"
        Action   = ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]
        Resource = ["*"]
      },
      {
        Sid      = "WatchRuns"
        Effect   = "Allow"
        Action   = ["states:ListExecutions"]
        Resource = ["${local.states_arn}:stateMachine:${local.state_machine}"]
      },
      {
        Sid      = "WatchAndScaleTasks"
        Effect   = "Allow"
        Action   = ["ecs:DescribeServices", "ecs:UpdateService"]
        Resource = ["${local.ecs_arn}:service/${local.cluster}/${local.service}"]
      },
      {
        Sid      = "ScaleInstances"
        Effect   = "Allow"
        Action   = ["autoscaling:SetDesiredCapacity"]
        Resource = ["arn:${var.partition}:autoscaling:${local.regional}:autoScalingGroup:*:autoScalingGroupName/${local.group}"]
      },
    ],
    local.notify,
  )

  notify = [for topic in compact([var.notification_topic_arn]) : {
    Sid      = "Notify"
    Effect   = "Allow"
    Action   = ["sns:Publish"]
    Resource = [topic]
  }]
}
