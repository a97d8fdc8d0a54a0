# Roles of vLLM and its instances: created here with least privilege, or looked up by name.

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  create    = var.use_precreated_roles ? 0 : 1

  task_role_arn        = var.use_precreated_roles ? data.aws_iam_role.task[0].arn : aws_iam_role.task[0].arn
  execution_role_arn   = var.use_precreated_roles ? data.aws_iam_role.execution[0].arn : aws_iam_role.execution[0].arn
  instance_profile_arn = var.use_precreated_roles ? data.aws_iam_instance_profile.instance[0].arn : aws_iam_instance_profile.instance[0].arn
}

# --- made by an administrator --------------------------------------------------------------------

data "aws_iam_role" "task" {
  count = var.use_precreated_roles ? 1 : 0
  name  = var.role_names.task
}

data "aws_iam_role" "execution" {
  count = var.use_precreated_roles ? 1 : 0
  name  = var.role_names.execution
}

data "aws_iam_instance_profile" "instance" {
  count = var.use_precreated_roles ? 1 : 0
  name  = var.role_names.instance_profile
}

# --- vLLM itself ---------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume_tasks" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# Its one right, to mount the model's files, stands in the file system's own policy.
resource "aws_iam_role" "task" {
  count = local.create

  name               = var.role_names.task
  description        = "vLLM: mounts the model files, nothing else"
  assume_role_policy = data.aws_iam_policy_document.assume_tasks.json
  tags               = local.tags
}

# --- starting it: logs and the hub token ---------------------------------------------------------

resource "aws_iam_role" "execution" {
  count = local.create

  name               = var.role_names.execution
  description        = "Starts vLLM: opens log streams, reads the hub token"
  assume_role_policy = data.aws_iam_policy_document.assume_tasks.json
  tags               = local.tags
}

data "aws_iam_policy_document" "execution" {
  # checkov:skip=CKV_AWS_356:ecr:GetAuthorizationToken knows no resources; everything else names its own.
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.vllm.arn}:*"]
  }

  # vLLM's image is public; only a copy in ECR needs these.
  dynamic "statement" {
    for_each = local.vllm_repositories

    content {
      sid       = "PullImage"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = length(local.vllm_repositories) > 0 ? [1] : []

    content {
      sid       = "RegistryLogin"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.huggingface_token_secret_arn == "" ? [] : [var.huggingface_token_secret_arn]

    content {
      sid       = "HubToken"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }
}

locals {
  image_parts = try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com[.a-z]*/([^:@]+)", var.vllm_image), [])
  vllm_repositories = length(local.image_parts) == 0 ? [] : [
    "arn:${local.partition}:ecr:${local.image_parts[1]}:${local.image_parts[0]}:repository/${local.image_parts[2]}",
  ]
}

resource "aws_iam_role_policy" "execution" {
  count = local.create

  name   = "start-vllm"
  role   = aws_iam_role.execution[0].id
  policy = data.aws_iam_policy_document.execution.json
}

# --- the instances -------------------------------------------------------------------------------

data "aws_iam_policy_document" "assume_ec2" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "instance" {
  count = local.create

  name               = var.role_names.instance
  description        = "GPU instances: join the cluster ftm-vllm-cluster"
  assume_role_policy = data.aws_iam_policy_document.assume_ec2.json
  tags               = local.tags
}

# The policy that AWS keeps for the ECS agent: its actions change with the agent, so a narrower copy
# would break without notice.
resource "aws_iam_role_policy_attachment" "instance" {
  count = local.create

  role       = aws_iam_role.instance[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "instance" {
  count = local.create

  name = var.role_names.instance_profile
  role = aws_iam_role.instance[0].name
  tags = local.tags
}
