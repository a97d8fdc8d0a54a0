# Roles of the two state machines and of the events that start one: created here, or looked up.

locals {
  create       = var.use_precreated_roles ? 0 : 1
  create_watch = var.use_precreated_roles || !var.enable_vllm ? 0 : 1
  look_watch   = var.use_precreated_roles && var.enable_vllm ? 1 : 0

  quarter_processor_role_arn = var.use_precreated_roles ? data.aws_iam_role.quarter_processor[0].arn : aws_iam_role.quarter_processor[0].arn

  deadman_role_arn = (
    !var.enable_vllm ? "" :
    var.use_precreated_roles ? data.aws_iam_role.deadman[0].arn : aws_iam_role.deadman[0].arn
  )
  events_role_arn = (
    !var.enable_vllm ? "" :
    var.use_precreated_roles ? data.aws_iam_role.events[0].arn : aws_iam_role.events[0].arn
  )

  bucket        = "arn:${local.partition}:s3:::${var.s3_bucket_name}"
  batch_prefix  = "arn:${local.partition}:batch:${var.aws_region}:${local.account}"
  states_prefix = "arn:${local.partition}:states:${var.aws_region}:${local.account}"
}

# --- made by an administrator --------------------------------------------------------------------

data "aws_iam_role" "quarter_processor" {
  count = var.use_precreated_roles ? 1 : 0
  name  = var.role_names.quarter_processor
}

data "aws_iam_role" "deadman" {
  count = local.look_watch
  name  = var.role_names.deadman
}

data "aws_iam_role" "events" {
  count = local.look_watch
  name  = var.role_names.events
}

# --- the state machine of a quarter --------------------------------------------------------------

data "aws_iam_policy_document" "assume_states" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "quarter_processor" {
  count = local.create

  name               = var.role_names.quarter_processor
  description        = "Runs a quarter: submits the ftm jobs and reads the plan"
  assume_role_policy = data.aws_iam_policy_document.assume_states.json
  tags               = local.tags
}

data "aws_iam_policy_document" "quarter_processor" {
  # checkov:skip=CKV_AWS_111:See the statements with a star: their actions know no resources.
  # checkov:skip=CKV_AWS_356:See the statements with a star: their actions know no resources.
  statement {
    sid     = "SubmitJobs"
    actions = ["batch:SubmitJob"]
    resources = concat(
      [data.aws_batch_job_queue.main.arn],
      # Submitted by name: the name itself and every revision of it.
      [for name in values(local.job_definitions) : "${local.batch_prefix}:job-definition/${name}"],
      [for name in values(local.job_definitions) : "${local.batch_prefix}:job-definition/${name}:*"],
    )
  }

  # Stopping an execution stops its jobs.
  statement {
    sid       = "StopJobs"
    actions   = ["batch:TerminateJob"]
    resources = ["${local.batch_prefix}:job/*"]
  }

  # AWS lets this action be granted on all jobs only.
  statement {
    sid       = "WatchJobs"
    actions   = ["batch:DescribeJobs"]
    resources = ["*"]
  }

  # How Step Functions learns that a job has ended: a rule that it keeps itself, of this name.
  statement {
    sid       = "HearOfJobs"
    actions   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
    resources = ["arn:${local.partition}:events:${var.aws_region}:${local.account}:rule/StepFunctionsGetEventsForBatchJobsRule"]
  }

  statement {
    sid     = "ReadPlan"
    actions = ["s3:GetObject"]
    resources = [
      "${local.bucket}/prefetch/transcripts/quarter=*/manifest.json",
      "${local.bucket}/progress/*/batches.json",
    ]
  }

  # Without it a missing manifest reads as "denied".
  statement {
    sid       = "TellMissingFromDenied"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["prefetch/transcripts/*", "progress/*"]
    }
  }

  # The distributed Map starts executions of this same state machine, one a batch.
  statement {
    sid       = "StartBatches"
    actions   = ["states:StartExecution"]
    resources = [local.state_machine_arn]
  }

  statement {
    sid     = "WatchBatches"
    actions = ["states:DescribeExecution", "states:StopExecution"]
    resources = [
      "${local.states_prefix}:execution:${local.state_machine_name}:*",
      "${local.states_prefix}:execution:${local.state_machine_name}/*",
    ]
  }

  dynamic "statement" {
    for_each = var.s3_kms_key_arn == "" ? [] : [var.s3_kms_key_arn]

    content {
      sid       = "BucketKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = local.notify ? [local.topic_arn] : []

    content {
      sid       = "Notify"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }

  # AWS lets the delivery of logs be granted on everything only.
  dynamic "statement" {
    for_each = var.enable_execution_logs ? [1] : []

    content {
      sid = "DeliverLogs"
      actions = [
        "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
      ]
      resources = ["*"]
    }
  }

  # The same holds for traces.
  dynamic "statement" {
    for_each = var.enable_xray ? [1] : []

    content {
      sid = "Trace"
      actions = [
        "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
      ]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "quarter_processor" {
  count = local.create

  name   = "run-quarters"
  role   = aws_iam_role.quarter_processor[0].id
  policy = data.aws_iam_policy_document.quarter_processor.json
}

# --- the deadman's switch ------------------------------------------------------------------------

resource "aws_iam_role" "deadman" {
  count = local.create_watch

  name               = var.role_names.deadman
  description        = "Deadman's switch: looks at vLLM and at runs, and scales vLLM to 0"
  assume_role_policy = data.aws_iam_policy_document.assume_states.json
  tags               = local.tags
}

data "aws_iam_policy_document" "deadman" {
  # checkov:skip=CKV_AWS_356:The two Describe actions of Auto Scaling and EC2 know no resources.
  statement {
    sid       = "LookAtInstances"
    actions   = ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]
    resources = ["*"]
  }

  statement {
    sid       = "LookAtRuns"
    actions   = ["states:ListExecutions"]
    resources = [local.state_machine_arn]
  }

  statement {
    sid       = "LookAtAndScaleTasks"
    actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
    resources = ["arn:${local.partition}:ecs:${var.aws_region}:${local.account}:service/${local.cluster}/${local.service}"]
  }

  statement {
    sid       = "ScaleInstances"
    actions   = ["autoscaling:SetDesiredCapacity"]
    resources = ["arn:${local.partition}:autoscaling:${var.aws_region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/${local.autoscaling_group}"]
  }

  dynamic "statement" {
    for_each = local.notify ? [local.topic_arn] : []

    content {
      sid       = "Notify"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "deadman" {
  count = local.create_watch

  name   = "turn-idle-vllm-off"
  role   = aws_iam_role.deadman[0].id
  policy = data.aws_iam_policy_document.deadman.json
}

# --- what starts it ------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume_events" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "events" {
  count = local.create_watch

  name               = var.role_names.events
  description        = "Starts the deadman's switch, by the clock and at the end of runs"
  assume_role_policy = data.aws_iam_policy_document.assume_events.json
  tags               = local.tags
}

data "aws_iam_policy_document" "events" {
  statement {
    sid       = "StartDeadman"
    actions   = ["states:StartExecution"]
    resources = ["${local.states_prefix}:stateMachine:${local.deadman_name}"]
  }
}

resource "aws_iam_role_policy" "events" {
  count = local.create_watch

  name   = "start-deadman"
  role   = aws_iam_role.events[0].id
  policy = data.aws_iam_policy_document.events.json
}
