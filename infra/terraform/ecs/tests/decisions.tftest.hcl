# Decisions of the ecs module, planned with a mocked provider: nothing is called, nothing made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "starts_nothing" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.vllm.desired_capacity == 0 && aws_autoscaling_group.vllm.min_size == 0 && aws_ecs_service.vllm.desired_count == 0
    error_message = "No GPU starts at an apply (fault 23)."
  }

  assert {
    condition     = aws_autoscaling_group.vllm.name == "ftm-vllm-asg" && aws_ecs_cluster.vllm.name == "ftm-vllm-cluster" && aws_ecs_service.vllm.name == "ftm-vllm-service" && aws_cloudwatch_log_group.vllm.name == "/ecs/ftm-vllm"
    error_message = "Operators know these names."
  }

  assert {
    condition     = aws_autoscaling_group.vllm.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 1 && aws_autoscaling_group.vllm.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 0
    error_message = "One instance on demand as the base, Spot above it; the base counts only while the operator's count is above 0."
  }

  assert {
    condition     = aws_lb.vllm.internal && aws_lb.vllm.idle_timeout > 60
    error_message = "The load balancer is internal and waits longer than a job does."
  }

  assert {
    condition     = aws_ssm_parameter.base_url.name == "/ftm/vllm/base_url" && aws_ssm_parameter.base_url.value == "http://internal-ftm-vllm-alb.us-west-2.elb.amazonaws.com/v1"
    error_message = "The batch module reads the URL from here."
  }
}

run "fault_24_a_loading_model_is_not_dead" {
  command = plan

  assert {
    condition     = aws_ecs_service.vllm.health_check_grace_period_seconds >= 1200
    error_message = "The grace must be longer than fetching and loading 16 GB."
  }

  assert {
    condition     = aws_autoscaling_group.vllm.health_check_type == "EC2"
    error_message = "The group must not judge the model."
  }

  assert {
    condition     = !can(jsondecode(aws_ecs_task_definition.vllm.container_definitions)[0].healthCheck)
    error_message = "A container check cannot wait long enough."
  }

  assert {
    condition     = aws_lb_target_group.vllm.health_check[0].path == "/health"
    error_message = "vLLM answers 503 there while it loads."
  }

  assert {
    condition     = length(aws_efs_file_system.models) == 1 && contains(jsondecode(aws_ecs_task_definition.vllm.container_definitions)[0].environment, { name = "HF_HOME", value = "/models" })
    error_message = "The model's files outlive an instance."
  }
}

run "thinking_is_off" {
  command = plan

  assert {
    condition     = strcontains(join(" ", jsondecode(aws_ecs_task_definition.vllm.container_definitions)[0].command), "--default-chat-template-kwargs {\"enable_thinking\":false}")
    error_message = "Thinking is off at the server too."
  }
}

run "no_grace_shorter_than_a_load" {
  command         = plan
  expect_failures = [var.model_load_seconds]

  variables {
    model_load_seconds = 120
  }
}

run "images_are_pinned" {
  command         = plan
  expect_failures = [var.vllm_image]

  variables {
    vllm_image = "vllm/vllm-openai:latest"
  }
}

run "requests_outlast_the_jobs_timeout" {
  command         = plan
  expect_failures = [var.request_timeout_seconds]

  variables {
    request_timeout_seconds = 60
  }
}

run "precreated_roles_without_cache" {
  command = plan

  variables {
    use_precreated_roles = true
    enable_model_cache   = false
  }

  assert {
    condition     = length(aws_iam_role.task) + length(aws_iam_role.execution) + length(aws_iam_role.instance) == 0
    error_message = "No role is made."
  }

  assert {
    condition     = length(aws_efs_file_system.models) == 0 && length(aws_ecs_task_definition.vllm.volume) == 0
    error_message = "No cache, no volume."
  }
}

run "spot_share" {
  command = plan

  variables {
    on_demand_base_capacity = 0
    spot_percentage         = 40
    instance_type           = "g6.xlarge"
  }

  assert {
    condition     = aws_autoscaling_group.vllm.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 60
    error_message = "What is not Spot is on demand."
  }

  assert {
    condition     = aws_autoscaling_group.vllm.mixed_instances_policy[0].launch_template[0].override[0].instance_type == "g6.xlarge"
    error_message = "The operator's type is asked for first."
  }
}
