# Optional: alarms on failed runs and on an idle GPU, and a monthly budget. All notify the topic.

locals {
  alarms      = var.enable_alarms ? 1 : 0
  vllm_alarms = var.enable_alarms && var.enable_vllm ? 1 : 0
  budget      = var.monthly_budget_usd > 0 ? 1 : 0

  # The deadman switch takes an idle vLLM down earlier; the alarm fires when it could not.
  idle_alarm_minutes = ceil((var.idle_seconds / 60 + var.deadman_interval_minutes) / 15) * 15 + 15
}

resource "aws_cloudwatch_metric_alarm" "failed_runs" {
  count = local.alarms

  alarm_name          = "ftm-run-failed"
  alarm_description   = "A run of ftm failed or timed out; `ftm doctor` says why."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = local.tags

  metric_query {
    id          = "ended_badly"
    expression  = "FILL(failed, 0) + FILL(timed_out, 0)"
    label       = "Failed and timed out runs"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "ExecutionsFailed", timed_out = "ExecutionsTimedOut" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        period      = 300
        stat        = "Sum"
        dimensions  = { StateMachineArn = local.state_machine_arn }
      }
    }
  }
}

data "aws_lb" "vllm" {
  count = local.vllm_alarms
  name  = "ftm-vllm-alb"
}

# vLLM is up, as its healthy targets show, and nobody asks it anything.
resource "aws_cloudwatch_metric_alarm" "idle_vllm" {
  count = local.vllm_alarms

  alarm_name          = "ftm-vllm-idle"
  alarm_description   = "vLLM has been up for ${local.idle_alarm_minutes} minutes without a request; `ftm vllm status` shows it, `ftm scale-down` ends it."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = local.idle_alarm_minutes / 15
  datapoints_to_alarm = local.idle_alarm_minutes / 15
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = local.tags

  metric_query {
    id          = "idle"
    expression  = "IF(FILL(up, 0) > 0 AND FILL(asked, 0) == 0, 1, 0)"
    label       = "vLLM up without a request"
    return_data = true
  }

  metric_query {
    id = "up"

    metric {
      namespace   = "AWS/AutoScaling"
      metric_name = "GroupInServiceInstances"
      period      = 900
      stat        = "Maximum"
      dimensions  = { AutoScalingGroupName = local.autoscaling_group }
    }
  }

  metric_query {
    id = "asked"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "RequestCount"
      period      = 900
      stat        = "Sum"
      dimensions  = { LoadBalancer = data.aws_lb.vllm[0].arn_suffix }
    }
  }
}

# By the tag on every resource. AWS counts a tag only once it is activated for cost allocation.
resource "aws_budgets_budget" "project" {
  count = local.budget

  name         = "ftm-monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = local.tags

  cost_filter {
    name   = "TagKeyValue"
    values = ["user:Project$ftm"]
  }

  dynamic "notification" {
    for_each = { 80 = "ACTUAL", 100 = "FORECASTED" }

    content {
      comparison_operator        = "GREATER_THAN"
      threshold                  = tonumber(notification.key)
      threshold_type             = "PERCENTAGE"
      notification_type          = notification.value
      subscriber_email_addresses = [var.budget_email]
    }
  }
}
