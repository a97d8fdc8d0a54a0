# Rights of the jobs: the data of quarters, and what starting a container needs.

locals {
  job = concat(
    [
      {
        Sid      = "ReadQuarters"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for prefix in local.readable_prefixes : "${local.bucket}/${prefix}*"]
      },
      # Large parts go up in pieces; deleting serves --restart and stale parts.
      {
        Sid      = "WriteQuarters"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = [for prefix in local.writable_prefixes : "${local.bucket}/${prefix}*"]
      },
      # Listing is granted on a bucket and narrowed by prefix; without it a missing key reads as
      # "denied".
      {
        Sid       = "ListQuarters"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local.bucket]
        Condition = { StringLike = { "s3:prefix" = [for prefix in local.readable_prefixes : "${prefix}*"] } }
      },
    ],
    [for key in compact([var.kms_key_arn]) : {
      Sid      = "BucketKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [key]
    }],
  )

  batch_execution = concat(local.write_batch_logs, local.pull_images, [
    for secret in compact([var.llm_api_key_secret_arn]) : {
      Sid      = "LlmKey"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [secret]
    }
  ])

  vllm_execution = concat(local.write_vllm_logs, local.pull_vllm, [
    for secret in compact([var.hub_token_secret_arn]) : {
      Sid      = "HubToken"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [secret]
    }
  ])

  write_batch_logs = [{
    Sid      = "WriteLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${local.logs_arn}:log-group:/aws/batch/ftm:*"]
  }]
  write_vllm_logs = [{
    Sid      = "WriteLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${local.logs_arn}:log-group:/ecs/ftm-vllm:*"]
  }]

  pull_images = length(var.image_repositories) == 0 ? [] : local.pull["images"]
  pull_vllm   = length(var.vllm_repositories) == 0 ? [] : local.pull["vllm"]
  pull = {
    for what, repositories in { images = var.image_repositories, vllm = var.vllm_repositories } : what => [
      {
        Sid      = "PullImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = repositories
      },
      # The login knows no resources.
      {
        Sid      = "RegistryLogin"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
    ]
  }
}
