# The state machine of a quarter, its log and its notifications.

locals {
  tags = merge(var.tags, { Project = "ftm", Module = "stepfunctions" })

  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  state_machine_name = "ftm-quarter-processor"
  state_machine_arn  = "arn:${local.partition}:states:${var.aws_region}:${local.account}:stateMachine:${local.state_machine_name}"

  # Given by name, without a revision: a new image or setting in the batch module holds from the
  # next job on, and changes nothing here.
  job_queue = "ftm-queue-main"
  job_definitions = {
    plan   = "ftm-quarter-planner"
    map    = "ftm-firm-processor"
    reduce = "ftm-theme-aggregator"
  }

  # Of ftm_core/contracts/errors.py; a test holds both together.
  retryable_exit_code     = 75
  checks_failed_exit_code = 3
  # SIGTERM before the worker could catch it.
  terminated_exit_code = 143
  run_failed_error     = "Ftm.RunFailed"

  topic_name = "ftm-runs"
  topic_arn = (
    var.notification_topic_arn != "" ? var.notification_topic_arn :
    "arn:${local.partition}:sns:${var.aws_region}:${local.account}:${local.topic_name}"
  )
  notify = var.enable_notifications || var.notification_topic_arn != ""

  # Only errors of the submission are retried here; the job's own end is classified by its exit code.
  submit_retry = jsonencode([{
    # Batch's API models two errors; throttling and all else arrive as AWSBatchException.
    ErrorEquals     = ["Batch.ServerException", "Batch.AWSBatchException", "Batch.SdkClientException"]
    IntervalSeconds = 5
    MaxAttempts     = 5
    BackoffRate     = 2
    JitterStrategy  = "FULL"
  }])
  notify_retry = jsonencode([{
    ErrorEquals     = ["SNS.InternalErrorException", "SNS.ThrottledException", "SNS.SdkClientException"]
    IntervalSeconds = 5
    MaxAttempts     = 4
    BackoffRate     = 2
  }])
  query_retry = jsonencode([{
    ErrorEquals     = ["States.TaskFailed", "States.Timeout"]
    IntervalSeconds = 10
    MaxAttempts     = 4
    BackoffRate     = 2
  }])

  # Conditions on a failed job, for the Choice states of all three stages.
  is_not_placed = jsonencode({
    And = [
      { Variable = "$.job.StatusReason", IsPresent = true },
      { Or = [for kind in ["*MISCONFIGURATION:*", "*CAPACITY:*"] : { Variable = "$.job.StatusReason", StringMatches = kind }] },
    ]
  })
  is_retryable = jsonencode({
    And = [
      { Variable = "$.attempt", NumericLessThanEquals = var.retryable_submissions },
      {
        Or = concat(
          # Without an exit code the container never ran, or its host or agent was lost.
          [{ Variable = "$.job.Container.ExitCode", IsPresent = false }],
          [for code in [local.retryable_exit_code, local.terminated_exit_code] : {
            And = [
              { Variable = "$.job.Container.ExitCode", IsPresent = true },
              { Variable = "$.job.Container.ExitCode", NumericEquals = code },
            ]
          }],
          # A lost host may leave any exit code behind.
          [{
            And = [
              { Variable = "$.job.StatusReason", IsPresent = true },
              { Variable = "$.job.StatusReason", StringMatches = "Host EC2*" },
            ]
          }],
        )
      },
    ]
  })

  definition = templatefile("${path.module}/definitions/quarter_processor.asl.json.tftpl", {
    partition                 = local.partition
    bucket                    = var.s3_bucket_name
    job_queue                 = data.aws_batch_job_queue.main.arn
    plan_job_definition       = local.job_definitions.plan
    map_job_definition        = local.job_definitions.map
    reduce_job_definition     = local.job_definitions.reduce
    execution_timeout_seconds = var.execution_timeout_seconds
    job_timeout_seconds       = var.task_timeout_seconds
    plan_timeout_seconds      = var.plan_timeout_seconds
    max_concurrent_batches    = var.max_concurrent_batches
    is_not_placed             = local.is_not_placed
    is_retryable              = local.is_retryable
    checks_failed_exit_code   = local.checks_failed_exit_code
    retryable_submissions     = var.retryable_submissions
    retryable_wait_seconds    = var.retryable_wait_seconds
    submit_retry              = local.submit_retry
    notify_retry              = local.notify_retry
    query_retry               = local.query_retry
    notification_topic_arn    = local.notify ? local.topic_arn : ""
    success_state             = local.notify ? "NotifySuccess" : "Done"
    failure_state             = local.notify ? "NotifyFailure" : "Failed"
    run_failed_error          = local.run_failed_error
  })
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Made by the batch module, which is therefore applied first.
data "aws_batch_job_queue" "main" {
  name = local.job_queue
}

resource "aws_sfn_state_machine" "quarter_processor" {
  # checkov:skip=CKV_AWS_284:X-Ray is a variable: the history of an execution already shows every state.
  # checkov:skip=CKV_AWS_285:Logs are a variable: Step Functions keeps the history for 90 days by itself.
  name       = local.state_machine_name
  type       = "STANDARD"
  role_arn   = local.quarter_processor_role_arn
  definition = local.definition
  tags       = local.tags

  tracing_configuration {
    enabled = var.enable_xray
  }

  dynamic "logging_configuration" {
    for_each = var.enable_execution_logs ? [1] : []

    content {
      level                  = "ERROR"
      include_execution_data = false
      log_destination        = "${aws_cloudwatch_log_group.executions[0].arn}:*"
    }
  }

  # Step Functions checks at creation that the role may use what the definition names.
  depends_on = [aws_iam_role_policy.created]
}

resource "aws_cloudwatch_log_group" "executions" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key; the log holds names of states and errors.
  # checkov:skip=CKV_AWS_338:The operator chooses how long logs are kept and paid for.
  count = var.enable_execution_logs ? 1 : 0

  name              = "/aws/vendedlogs/states/ftm-quarter-processor"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

# --- notifications -------------------------------------------------------------------------------

resource "aws_sns_topic" "runs" {
  count = var.enable_notifications ? 1 : 0

  name              = local.topic_name
  kms_master_key_id = var.notification_key_id
  tags              = local.tags
}

resource "aws_sns_topic_subscription" "email" {
  count = var.notification_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.runs[0].arn
  protocol  = "email"
  endpoint  = var.notification_email
}

# EventBridge needs a word in the topic's own policy; the state machines come with their roles.
data "aws_iam_policy_document" "topic" {
  count = var.enable_notifications ? 1 : 0

  statement {
    sid       = "RunsCutShort"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.runs[0].arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.cut_short[0].arn]
    }
  }

  dynamic "statement" {
    for_each = var.enable_alarms ? [1] : []

    content {
      sid       = "Alarms"
      actions   = ["sns:Publish"]
      resources = [aws_sns_topic.runs[0].arn]

      principals {
        type        = "Service"
        identifiers = ["cloudwatch.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }

  statement {
    sid       = "StateMachines"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.runs[0].arn]

    principals {
      type        = "AWS"
      identifiers = compact([local.quarter_processor_role_arn, local.deadman_role_arn])
    }
  }
}

resource "aws_sns_topic_policy" "runs" {
  count = var.enable_notifications ? 1 : 0

  arn    = aws_sns_topic.runs[0].arn
  policy = data.aws_iam_policy_document.topic[0].json
}

# A run that is aborted, times out or breaks inside Step Functions reaches no state that could report
# it. This rule reports exactly those: an end that was notified carries run_failed_error.
resource "aws_cloudwatch_event_rule" "cut_short" {
  count = local.notify ? 1 : 0

  name        = "ftm-run-cut-short"
  description = "Runs of ftm that ended without a notification of their own"
  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [local.state_machine_arn]
      "$or" = [
        { status = ["TIMED_OUT", "ABORTED"] },
        { status = ["FAILED"], error = [{ "anything-but" = [local.run_failed_error] }] },
      ]
    }
  })
  tags = local.tags
}

resource "aws_cloudwatch_event_target" "cut_short" {
  count = local.notify ? 1 : 0

  rule = aws_cloudwatch_event_rule.cut_short[0].name
  arn  = local.topic_arn

  input_transformer {
    input_paths    = { name = "$.detail.name", status = "$.detail.status" }
    input_template = "\"ftm: run <name> ended as <status> before it could say so itself. Finished work is saved; `ftm doctor` says what to do.\""
  }
}
