# The model's files on EFS: fetched once, read by every later instance; billed by what is stored.

resource "aws_efs_file_system" "models" {
  # checkov:skip=CKV_AWS_184:Public model weights, encrypted with AWS's own key; a key of one's own would add a monthly price and no secrecy.
  # checkov:skip=CKV2_AWS_18:A cache needs no backup: what is lost is fetched again.
  count = var.enable_model_cache ? 1 : 0

  creation_token = "ftm-vllm-models"
  encrypted      = true
  # Bursting reads are free, where elastic ones and the infrequent-access class bill each GB: half a
  # dollar to a dollar for each start. 16 GB earn 68 GiB of burst a day, enough for four starts.
  throughput_mode = "bursting"

  tags = merge(local.tags, { Name = "ftm-vllm-models" })
}

resource "aws_efs_access_point" "models" {
  count = var.enable_model_cache ? 1 : 0

  file_system_id = aws_efs_file_system.models[0].id

  posix_user {
    uid = 1000
    gid = 1000
  }

  root_directory {
    path = "/models"

    creation_info {
      owner_uid   = 1000
      owner_gid   = 1000
      permissions = "0755"
    }
  }

  tags = local.tags
}

# Only through the access point, only encrypted, only by the task's role.
data "aws_iam_policy_document" "models" {
  count = var.enable_model_cache ? 1 : 0

  statement {
    sid       = "MountModels"
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [aws_efs_file_system.models[0].arn]

    principals {
      type        = "AWS"
      identifiers = [local.task_role_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "elasticfilesystem:AccessPointArn"
      values   = [aws_efs_access_point.models[0].arn]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["true"]
    }
  }
}

resource "aws_efs_file_system_policy" "models" {
  count = var.enable_model_cache ? 1 : 0

  file_system_id = aws_efs_file_system.models[0].id
  policy         = data.aws_iam_policy_document.models[0].json
}

resource "aws_security_group" "models" {
  count = var.enable_model_cache ? 1 : 0

  name        = "ftm-vllm-models-sg"
  description = "Model files: in from the instances of vLLM"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "ftm-vllm-models-sg" })
}

resource "aws_vpc_security_group_ingress_rule" "models_from_vllm" {
  count = var.enable_model_cache ? 1 : 0

  security_group_id            = aws_security_group.models[0].id
  description                  = "Instances of vLLM"
  referenced_security_group_id = aws_security_group.vllm.id
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "vllm_to_models" {
  count = var.enable_model_cache ? 1 : 0

  security_group_id            = aws_security_group.vllm.id
  description                  = "Model files"
  referenced_security_group_id = aws_security_group.models[0].id
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
  tags                         = local.tags
}

resource "aws_efs_mount_target" "models" {
  for_each = var.enable_model_cache ? local.subnet_of_zone : {}

  file_system_id  = aws_efs_file_system.models[0].id
  subnet_id       = each.value
  security_groups = [aws_security_group.models[0].id]
}
