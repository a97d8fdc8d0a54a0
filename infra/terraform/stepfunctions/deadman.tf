# No GPU runs on after a run: a switch that checks every quarter of an hour, and at the end of each run.

locals {
  # Names that the ecs module gives; this module does not read its state.
  cluster           = "ftm-vllm-cluster"
  service           = "ftm-vllm-service"
  autoscaling_group = "ftm-vllm-asg"
  deadman_name      = "ftm-vllm-deadman"
  watch             = var.enable_vllm ? 1 : 0

  deadman_definition = templatefile("${path.module}/definitions/vllm_deadman.asl.json.tftpl", {
    partition              = local.partition
    cluster                = local.cluster
    service                = local.service
    autoscaling_group      = local.autoscaling_group
    state_machine_arn      = local.state_machine_arn
    query_retry            = local.query_retry
    notification_topic_arn = local.notify ? local.topic_arn : ""
    failure_state          = local.notify ? "NotifyFailure" : "Failed"
  })
}

resource "aws_sfn_state_machine" "deadman" {
  # checkov:skip=CKV_AWS_284:Ten states that only check and scale need no traces.
  # checkov:skip=CKV_AWS_285:Step Functions keeps the history for 90 days by itself.
  count = local.watch

  name       = local.deadman_name
  type       = "STANDARD"
  role_arn   = local.deadman_role_arn
  definition = local.deadman_definition
  tags       = local.tags

  depends_on = [aws_iam_role_policy.created]
}

# For a vLLM that was started and then forgotten: about 9,000 state changes a month, 4,000 of them
# free and the rest some 12 cents.
resource "aws_scheduler_schedule" "deadman" {
  # checkov:skip=CKV_AWS_297:The input is a number of seconds; there is nothing to encrypt with a key of one's own.
  count = local.watch

  name                = "ftm-vllm-deadman"
  description         = "Checks for a vLLM that is up while no quarter runs"
  schedule_expression = "rate(${var.deadman_interval_minutes} minutes)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.deadman[0].arn
    role_arn = local.events_role_arn
    input    = jsonencode({ idle_seconds = var.idle_seconds })

    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 600
    }
  }
}

# For the end of a run, whichever it is: also aborted or timed out, when no state can act any more.
resource "aws_cloudwatch_event_rule" "run_ended" {
  count = local.watch

  name        = "ftm-run-ended"
  description = "Every end of a run of ftm"
  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [local.state_machine_arn]
      status          = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    }
  })
  tags = local.tags
}

resource "aws_cloudwatch_event_target" "run_ended" {
  count = local.watch

  rule     = aws_cloudwatch_event_rule.run_ended[0].name
  arn      = aws_sfn_state_machine.deadman[0].arn
  role_arn = local.events_role_arn
  input    = jsonencode({ idle_seconds = var.idle_seconds_after_run })
}
