# Decisions of the stepfunctions module, planned with a mocked provider: nothing is called or made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  s3_bucket_name = "some-research-bucket"
}

run "no_instance_no_gpu" {
  command = plan

  assert {
    condition     = jsondecode(aws_sfn_state_machine.quarter_processor.definition).States.PlanBatches.TimeoutSeconds <= 3600
    error_message = "A plan that gets no instance must not keep anything waiting for a day."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.quarter_processor.definition).States.DefaultConcurrency.Result == 4 && jsondecode(aws_sfn_state_machine.quarter_processor.definition).States.ProcessBatches.MaxConcurrencyPath == "$.max_concurrent_batches"
    error_message = "One vLLM answers four map jobs; more of them only wait."
  }
}

run "nothing_watches_unless_asked" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.failed_runs) + length(aws_cloudwatch_metric_alarm.idle_vllm) + length(aws_budgets_budget.project) == 0
    error_message = "Alarms and budget are made only on request."
  }
}

run "alarms_and_budget" {
  command = plan

  variables {
    enable_notifications = true
    enable_alarms        = true
    monthly_budget_usd   = 200
    budget_email         = "research@example.org"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.failed_runs[0].alarm_actions == toset(["arn:aws:sns:us-west-2:123456789012:ftm-runs"])
    error_message = "A failed run is reported to the topic."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.idle_vllm[0].evaluation_periods * 15 > 75
    error_message = "The deadman switch has its time first; the alarm fires when it could not act."
  }

  assert {
    condition     = aws_budgets_budget.project[0].limit_amount == "200" && one(aws_budgets_budget.project[0].cost_filter).values == tolist(["user:Project$ftm"])
    error_message = "The budget counts what carries the project's tag."
  }
}

run "an_alarm_needs_a_topic" {
  command         = plan
  expect_failures = [var.enable_alarms]

  variables {
    enable_alarms = true
  }
}

run "a_budget_needs_an_address" {
  command         = plan
  expect_failures = [var.budget_email]

  variables {
    monthly_budget_usd = 100
  }
}

run "silent" {
  command = plan

  assert {
    condition     = aws_sfn_state_machine.quarter_processor.name == "ftm-quarter-processor"
    error_message = "Operators know this name."
  }

  assert {
    condition     = length(aws_sns_topic.runs) == 0 && !strcontains(aws_sfn_state_machine.quarter_processor.definition, "sns:publish")
    error_message = "Notifications are made only on request."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.quarter_processor.definition).States.ReduceThemes.Next == "Done"
    error_message = "Without notifications the reduce leads straight to the end."
  }
}

run "notified" {
  command = plan

  variables {
    enable_notifications = true
    notification_email   = "research@example.org"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.quarter_processor.definition).States.NotifySuccess.Parameters.TopicArn == "arn:aws:sns:us-west-2:123456789012:ftm-runs"
    error_message = "Success is reported to the topic."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.quarter_processor.definition).States.NotifyFailure.Next == "Failed"
    error_message = "A failure that was reported is still a failure."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.cut_short[0].event_pattern).detail["$or"][1].error == [{ "anything-but" = ["Ftm.RunFailed"] }]
    error_message = "Each end is reported once: the rule leaves out what a state has reported."
  }
}

run "fault_23_a_forgotten_gpu_is_turned_off" {
  command = plan

  assert {
    condition     = jsondecode(aws_scheduler_schedule.deadman[0].target[0].input).idle_seconds == 3600 && aws_scheduler_schedule.deadman[0].schedule_expression == "rate(15 minutes)"
    error_message = "An idle hour is the limit, and checks come often enough to keep it."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.run_ended[0].event_pattern).detail.status == ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    error_message = "Every end of a run starts the switch, also one that no state can catch."
  }
}

run "an_llm_of_ones_own_needs_no_switch" {
  command = plan

  variables {
    enable_vllm = false
  }

  assert {
    condition     = length(aws_sfn_state_machine.deadman) + length(aws_scheduler_schedule.deadman) + length(aws_cloudwatch_event_rule.run_ended) == 0 && keys(aws_iam_role.created) == ["quarter_processor"]
    error_message = "Nothing to watch."
  }
}

run "precreated_roles_with_logs_and_traces" {
  command = plan

  variables {
    use_precreated_roles  = true
    enable_execution_logs = true
    enable_xray           = true
  }

  assert {
    condition     = length(aws_iam_role.created) == 0
    error_message = "No role is made."
  }

  assert {
    condition     = aws_sfn_state_machine.quarter_processor.role_arn == "arn:aws:iam::123456789012:role/precreated"
    error_message = "The state machine uses the administrator's role."
  }

  assert {
    condition     = aws_sfn_state_machine.quarter_processor.tracing_configuration[0].enabled && aws_sfn_state_machine.quarter_processor.logging_configuration[0].level == "ERROR"
    error_message = "Traces and logs come on request."
  }
}

run "a_quarter_outlasts_its_jobs" {
  command         = plan
  expect_failures = [var.execution_timeout_seconds]

  variables {
    execution_timeout_seconds = 3600
  }
}

run "one_topic_only" {
  command         = plan
  expect_failures = [var.notification_topic_arn]

  variables {
    enable_notifications   = true
    notification_topic_arn = "arn:aws:sns:us-west-2:123456789012:mine"
  }
}
