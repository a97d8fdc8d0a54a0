# Roles of the jobs and their instances: created here with least privilege, or looked up by name.

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  bucket    = "arn:${local.partition}:s3:::${var.s3_bucket_name}"

  # Read: the transcripts, and whatever an earlier stage or attempt of the same quarter left.
  readable_prefixes = ["prefetch/transcripts/", "progress/", "intermediate/", "processed/", "sentiment-ready/"]
  # Written, and cleared by --restart: everything but the transcripts.
  writable_prefixes = ["progress/", "intermediate/", "processed/", "sentiment-ready/"]

  # Repositories are named where the images lie in ECR, of this or another account.
  image_repositories = distinct(compact([
    for image in [local.map_image, local.reduce_image] : try(
      format(
        "arn:%s:ecr:%s:%s:repository/%s",
        local.partition,
        regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com[.a-z]*/([^:@]+)", image)[1],
        regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com[.a-z]*/([^:@]+)", image)[0],
        regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com[.a-z]*/([^:@]+)", image)[2],
      ),
      "",
    )
  ]))

  create = var.use_precreated_roles ? 0 : 1

  job_role_arn         = var.use_precreated_roles ? data.aws_iam_role.job[0].arn : aws_iam_role.job[0].arn
  execution_role_arn   = var.use_precreated_roles ? data.aws_iam_role.execution[0].arn : aws_iam_role.execution[0].arn
  instance_profile_arn = var.use_precreated_roles ? data.aws_iam_instance_profile.instance[0].arn : aws_iam_instance_profile.instance[0].arn
}

# --- made by an administrator --------------------------------------------------------------------

data "aws_iam_role" "job" {
  count = var.use_precreated_roles ? 1 : 0
  name  = var.role_names.job
}

data "aws_iam_role" "execution" {
  count = var.use_precreated_roles ? 1 : 0
  name  = var.role_names.execution
}

data "aws_iam_instance_profile" "instance" {
  count = var.use_precreated_roles ? 1 : 0
  name  = var.role_names.instance_profile
}

# --- the job itself: what our code may do --------------------------------------------------------

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

resource "aws_iam_role" "job" {
  count = local.create

  name               = var.role_names.job
  description        = "Code of the ftm jobs: the data of quarters in one bucket, nothing else"
  assume_role_policy = data.aws_iam_policy_document.assume_tasks.json
  tags               = local.tags
}

data "aws_iam_policy_document" "job" {
  statement {
    sid       = "ReadQuarters"
    actions   = ["s3:GetObject"]
    resources = [for prefix in local.readable_prefixes : "${local.bucket}/${prefix}*"]
  }

  # Large parts go up in pieces; deleting serves --restart and stale parts.
  statement {
    sid       = "WriteQuarters"
    actions   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = [for prefix in local.writable_prefixes : "${local.bucket}/${prefix}*"]
  }

  # Listing is granted on a bucket and narrowed by prefix; without it a missing key reads as "denied".
  statement {
    sid       = "ListQuarters"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = [for prefix in local.readable_prefixes : "${prefix}*"]
    }
  }

  dynamic "statement" {
    for_each = var.s3_kms_key_arn == "" ? [] : [var.s3_kms_key_arn]

    content {
      sid       = "BucketKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "job" {
  count = local.create

  name   = "quarters-in-s3"
  role   = aws_iam_role.job[0].id
  policy = data.aws_iam_policy_document.job.json
}

# --- starting a job: images, logs, secrets -------------------------------------------------------

resource "aws_iam_role" "execution" {
  count = local.create

  name               = var.role_names.execution
  description        = "Starts the ftm jobs: pulls images, opens log streams, reads the LLM key"
  assume_role_policy = data.aws_iam_policy_document.assume_tasks.json
  tags               = local.tags
}

data "aws_iam_policy_document" "execution" {
  # checkov:skip=CKV_AWS_356:ecr:GetAuthorizationToken knows no resources; everything else names its own.
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.batch.arn}:*"]
  }

  dynamic "statement" {
    for_each = length(local.image_repositories) > 0 ? [1] : []

    content {
      sid       = "RegistryLogin"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = length(local.image_repositories) > 0 ? [1] : []

    content {
      sid       = "PullImages"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = local.image_repositories
    }
  }

  dynamic "statement" {
    for_each = var.llm_api_key_secret_arn == "" ? [] : [var.llm_api_key_secret_arn]

    content {
      sid       = "LlmKey"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  count = local.create

  name   = "start-jobs"
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
  description        = "Instances of the ftm jobs: joins the cluster that AWS Batch makes"
  assume_role_policy = data.aws_iam_policy_document.assume_ec2.json
  tags               = local.tags
}

# The policy that AWS keeps for the ECS agent: its actions change with the agent, and the cluster's
# name is Batch's own, so a narrower copy would break without notice. Jobs cannot use this role:
# the launch template's hop limit keeps them from the instance's credentials.
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
