# Rights of the state machines: running quarters, and the deadman switch.

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
