# Decisions of the ecs module, planned with a mocked provider: nothing is called, nothing made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "subnet-0123456789abcdef2", "subnet-0123456789abcdef3"]
}

# Four subnets in two zones: a load balancer takes one of each.
override_data {
  target = data.aws_subnet.each[0]
  values = { id = "subnet-0123456789abcdef0", availability_zone = "us-west-2a" }
}
override_data {
  target = data.aws_subnet.each[1]
  values = { id = "subnet-0123456789abcdef1", availability_zone = "us-west-2a" }
}
override_data {
  target = data.aws_subnet.each[2]
  values = { id = "subnet-0123456789abcdef2", availability_zone = "us-west-2b" }
}
override_data {
  target = data.aws_subnet.each[3]
  values = { id = "subnet-0123456789abcdef3", availability_zone = "us-west-2b" }
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
    error_message = "The group must not check the model's health."
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

run "one_subnet_a_zone" {
  command = plan

  assert {
    condition     = toset(aws_lb.vllm.subnets) == toset(["subnet-0123456789abcdef0", "subnet-0123456789abcdef2"])
    error_message = "A load balancer cannot be attached to two subnets of one zone."
  }

  assert {
    condition     = length(aws_efs_mount_target.models) == 2
    error_message = "Nor can a file system have two mount targets in one zone."
  }

  assert {
    condition     = length(aws_autoscaling_group.vllm.vpc_zone_identifier) == 4
    error_message = "Instances may start in any of them."
  }
}

run "one_zone_is_too_few" {
  command         = plan
  expect_failures = [aws_lb.vllm]

  variables {
    subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  }
}

run "a_vpc_of_ones_own_needs_its_subnets" {
  command         = plan
  expect_failures = [var.subnet_ids]

  variables {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = []
  }
}

run "connections_outlive_the_load_balancers" {
  command = plan

  assert {
    condition = one([
      for item in jsondecode(aws_ecs_task_definition.vllm.container_definitions)[0].environment :
      tonumber(item.value) if item.name == "VLLM_HTTP_TIMEOUT_KEEP_ALIVE"
    ]) > aws_lb.vllm.idle_timeout
    error_message = "A server that closes idle connections first makes the load balancer answer 502."
  }
}

run "serving_instances_stay" {
  command = plan

  assert {
    condition     = contains(aws_autoscaling_group.vllm.suspended_processes, "AZRebalance")
    error_message = "Evening out zones would replace an instance that serves."
  }

  assert {
    condition     = aws_autoscaling_group.vllm.enabled_metrics == toset(["GroupInServiceInstances"])
    error_message = "The alarm on an idle vLLM reads this metric."
  }
}

run "reading_the_model_is_not_billed_by_the_gigabyte" {
  command = plan

  assert {
    condition     = aws_efs_file_system.models[0].throughput_mode == "bursting" && length(aws_efs_file_system.models[0].lifecycle_policy) == 0
    error_message = "Elastic throughput and infrequent access bill each read."
  }
}

run "an_instance_may_join_its_cluster_and_little_else" {
  command = plan

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.created["vllm_instance"].policy).Statement : statement.Resource if statement.Sid == "JoinAndReport"])) == toset(["arn:aws:ecs:us-west-2:123456789012:cluster/ftm-vllm-cluster"])
    error_message = "vLLM shares its instance's network and reaches its role."
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
    condition     = length(aws_iam_role.created) == 0
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
