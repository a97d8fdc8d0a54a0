# Decisions of the batch module, planned with a mocked provider: nothing is called, nothing made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  s3_bucket_name      = "some-research-bucket"
  use_external_images = true
  map_image_uri       = "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-map:v1"
  reduce_image_uri    = "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-reduce:v1"
}

run "first_pass" {
  command = plan

  assert {
    condition     = aws_security_group.batch.name == "ftm-batch-sg" && aws_batch_job_queue.main.name == "ftm-queue-main" && aws_cloudwatch_log_group.batch.name == "/aws/batch/ftm"
    error_message = "Operators know this name."
  }

  assert {
    condition     = length([for job in aws_batch_job_definition.jobs : job if strcontains(job.container_properties, "LLM_BASE_URL")]) == 0
    error_message = "The first pass cannot know the LLM's URL."
  }

  assert {
    condition     = length(data.aws_ssm_parameter.vllm_base_url) == 0
    error_message = "The first pass must not read a parameter that is not there yet."
  }

  assert {
    condition     = alltrue([for environment in aws_batch_compute_environment.jobs : environment.compute_resources[0].min_vcpus == 0])
    error_message = "Without jobs there are no instances (fault 23)."
  }

  assert {
    condition     = [for order in aws_batch_job_queue.main.compute_environment_order : order.order] == [1, 2]
    error_message = "Spot first, then on demand."
  }

  assert {
    condition     = aws_batch_compute_environment.jobs["spot"].compute_resources[0].allocation_strategy == "SPOT_CAPACITY_OPTIMIZED"
    error_message = "Spot is chosen by capacity."
  }

  assert {
    condition     = length(aws_ecr_repository.worker) == 0 && length(aws_secretsmanager_secret.wrds) == 0
    error_message = "External images need no repository; a secret is made only on request."
  }

  assert {
    condition     = aws_launch_template.batch.metadata_options[0].http_tokens == "required" && aws_launch_template.batch.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "The metadata answers with a token, on the host's own network."
  }

  assert {
    condition = toset([for item in aws_batch_job_queue.main.job_state_time_limit_action : item.reason]) == toset([
      "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
      "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
      "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    ])
    error_message = "A job that gets no instance is cancelled, whichever of AWS Batch's three reasons holds."
  }

  assert {
    condition     = alltrue([for item in aws_batch_job_queue.main.job_state_time_limit_action : item.action == "CANCEL" && item.state == "RUNNABLE" && item.max_time_seconds == 1800])
    error_message = "Half an hour without an instance is the limit."
  }

  assert {
    condition     = alltrue([for environment in aws_batch_compute_environment.jobs : !startswith(environment.compute_resources[0].launch_template[0].version, "$")])
    error_message = "AWS Batch resolves $Latest once, so that later changes of the template would have no effect."
  }

  assert {
    condition     = alltrue([for environment in aws_batch_compute_environment.jobs : alltrue([for kind in ["m6i.xlarge", "m7i.xlarge", "r6i.xlarge"] : contains(environment.compute_resources[0].instance_type, kind)])])
    error_message = "The smallest types hold one map job, so that a small quota starts it."
  }

  assert {
    condition = alltrue([
      for job in aws_batch_job_definition.jobs :
      contains(jsondecode(job.container_properties).environment, { name = "MAP_WORKERS", value = "4" })
    ])
    error_message = "A job starts as many workers as it has vCPUs, not as its host has."
  }

  assert {
    condition = alltrue([
      for name, value in { SPOT_METADATA_URL = "http://169.254.169.254" } : alltrue([
        for job in aws_batch_job_definition.jobs :
        contains(jsondecode(job.container_properties).environment, { name = name, value = value })
      ])
    ])
    error_message = "The address of Spot's notice."
  }

  assert {
    condition     = aws_batch_job_definition.jobs["plan"].timeout[0].attempt_duration_seconds == 900 && aws_batch_job_definition.jobs["map"].timeout[0].attempt_duration_seconds == 43200
    error_message = "A plan takes a minute. A map job may wait hours for one LLM, and AWS Batch does not retry a timeout."
  }
}

run "an_instance_may_join_a_cluster_and_little_else" {
  command = plan

  assert {
    condition     = toset([for action in flatten([for statement in jsondecode(aws_iam_role_policy.created["batch_instance"].policy).Statement : statement.Action]) : split(":", action)[0]]) == toset(["ecs", "ec2", "ecr", "logs"])
    error_message = "Jobs share their instance's network and reach its role."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.created["batch_instance"].policy).Statement :
      contains(["FindTheService", "ReadTags", "RegistryLogin"], statement.Sid) || !contains(statement.Resource, "*")
    ])
    error_message = "Only actions that know no resources are granted on all."
  }
}

run "a_vpc_of_ones_own_needs_its_subnets" {
  command         = plan
  expect_failures = [var.subnet_ids]

  variables {
    vpc_id = "vpc-0123456789abcdef0"
  }
}

run "second_pass" {
  command = plan

  variables {
    enable_vllm = true
  }

  assert {
    condition = alltrue([
      for job in aws_batch_job_definition.jobs :
      contains(jsondecode(job.container_properties).environment, { name = "LLM_BASE_URL", value = "http://vllm.internal/v1" })
    ])
    error_message = "The second pass hands the URL from SSM to every job."
  }
}

run "an_llm_of_ones_own" {
  command = plan

  variables {
    llm_base_url           = "https://llm.example.org:8443/v1"
    llm_api_key_secret_arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:llm-AbCdEf"
  }

  assert {
    condition = alltrue([
      for job in aws_batch_job_definition.jobs :
      contains(jsondecode(job.container_properties).environment, { name = "LLM_BASE_URL", value = "https://llm.example.org:8443/v1" })
    ])
    error_message = "A given URL stands in for the whole ecs module."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.llm[0].from_port == 8443
    error_message = "The jobs may reach the port that the URL names."
  }

  assert {
    condition     = jsondecode(aws_batch_job_definition.jobs["map"].container_properties).secrets == [{ name = "LLM_API_KEY", valueFrom = "arn:aws:secretsmanager:us-west-2:123456789012:secret:llm-AbCdEf" }]
    error_message = "A key comes from Secrets Manager, never in plain text (fault 25)."
  }
}

run "own_images_and_secret" {
  command = plan

  variables {
    use_external_images = false
    map_image_uri       = ""
    reduce_image_uri    = ""
    image_tag           = "abc123"
    enable_wrds_secrets = true
  }

  assert {
    condition     = aws_ecr_repository.worker[0].image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.worker[0].image_scanning_configuration[0].scan_on_push
    error_message = "A tag never changes its image, and every image is scanned."
  }

  assert {
    condition     = aws_ecr_repository.worker[0].name == "ftm-worker"
    error_message = "Operators know these names."
  }

  assert {
    condition     = length(aws_ecr_lifecycle_policy.worker) == 1
    error_message = "Old images go away."
  }

  assert {
    condition     = endswith(jsondecode(aws_batch_job_definition.jobs["map"].container_properties).image, ":abc123")
    error_message = "Jobs run the tag they were given."
  }

  assert {
    condition     = aws_secretsmanager_secret.wrds[0].name == "ftm/wrds"
    error_message = "The secret is made empty, under the name that ingest reads."
  }
}

run "precreated_roles" {
  command = plan

  variables {
    use_precreated_roles = true
  }

  assert {
    condition     = length(aws_iam_role.created) + length(aws_iam_role_policy.created) + length(aws_iam_instance_profile.created) == 0
    error_message = "No role is made."
  }

  assert {
    condition     = jsondecode(aws_batch_job_definition.jobs["map"].container_properties).jobRoleArn == "arn:aws:iam::123456789012:role/precreated"
    error_message = "The jobs use the administrator's role."
  }
}

run "gpu_map" {
  command = plan

  variables {
    use_gpu  = true
    use_spot = false
  }

  assert {
    condition     = contains(jsondecode(aws_batch_job_definition.jobs["map"].container_properties).resourceRequirements, { type = "GPU", value = "1" })
    error_message = "The map asks for a GPU."
  }

  assert {
    condition     = length([for need in jsondecode(aws_batch_job_definition.jobs["reduce"].container_properties).resourceRequirements : need if need.type == "GPU"]) == 0
    error_message = "The reduce does not."
  }

  assert {
    condition     = contains(jsondecode(aws_batch_job_definition.jobs["plan"].container_properties).environment, { name = "EMBEDDING_PRECISION", value = "float32" })
    error_message = "Embedding in 8-bit integers would leave the GPU idle; plan must say so too."
  }

  assert {
    condition     = keys(aws_batch_compute_environment.jobs) == ["on-demand"] && one(aws_batch_compute_environment.jobs["on-demand"].compute_resources[0].ec2_configuration).image_type == "ECS_AL2023_NVIDIA"
    error_message = "GPU instances need the image with drivers; without Spot only on demand is left."
  }
}

run "external_images_must_be_named" {
  command         = plan
  expect_failures = [var.map_image_uri, var.reduce_image_uri]

  variables {
    map_image_uri    = ""
    reduce_image_uri = ""
  }
}

run "images_need_a_tag" {
  command         = plan
  expect_failures = [var.map_image_uri]

  variables {
    map_image_uri = "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-map"
  }
}

run "a_bucket_is_a_bare_name" {
  command         = plan
  expect_failures = [var.s3_bucket_name]

  variables {
    s3_bucket_name = "s3://some-research-bucket"
  }
}

run "two_llms_are_one_too_many" {
  command         = plan
  expect_failures = [var.llm_base_url]

  variables {
    enable_vllm  = true
    llm_base_url = "http://llm.example.org/v1"
  }
}

run "settings_with_a_variable_of_their_own" {
  command         = plan
  expect_failures = [var.settings_environment]

  variables {
    settings_environment = { CHECKPOINT_INTERVAL = "7" }
  }
}
