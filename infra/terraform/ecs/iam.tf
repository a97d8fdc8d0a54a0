# Roles of vLLM and its instances: created from the roles module, or looked up by name.

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  # vLLM's image is public; only a copy in ECR needs rights to pull it.
  image_parts = try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com[.a-z]*/([^:@]+)", var.vllm_image), [])
  vllm_repositories = length(local.image_parts) == 0 ? [] : [
    "arn:${local.partition}:ecr:${local.image_parts[1]}:${local.image_parts[0]}:repository/${local.image_parts[2]}",
  ]

  created_roles     = toset(var.use_precreated_roles ? [] : ["vllm_task", "vllm_execution", "vllm_instance"])
  created_policies  = toset([for kind in local.created_roles : kind if kind != "vllm_task"])
  precreated_roles  = toset(var.use_precreated_roles ? ["vllm_task", "vllm_execution"] : [])
  instance_role_key = "vllm_instance"

  task_role_arn        = var.use_precreated_roles ? data.aws_iam_role.precreated["vllm_task"].arn : aws_iam_role.created["vllm_task"].arn
  execution_role_arn   = var.use_precreated_roles ? data.aws_iam_role.precreated["vllm_execution"].arn : aws_iam_role.created["vllm_execution"].arn
  instance_profile_arn = var.use_precreated_roles ? data.aws_iam_instance_profile.precreated[0].arn : aws_iam_instance_profile.created[0].arn
}

module "roles" {
  source = "../roles"

  account_id           = local.account
  partition            = local.partition
  region               = var.aws_region
  vllm_repositories    = local.vllm_repositories
  hub_token_secret_arn = var.huggingface_token_secret_arn
  names                = var.role_names
}

# --- made by an administrator, as `ftm deploy --roles` prints them ---------------------------------

data "aws_iam_role" "precreated" {
  for_each = local.precreated_roles
  name     = module.roles.names[each.key]
}

data "aws_iam_instance_profile" "precreated" {
  count = var.use_precreated_roles ? 1 : 0
  name  = module.roles.roles[local.instance_role_key].instance_profile
}

# --- made here -------------------------------------------------------------------------------------

resource "aws_iam_role" "created" {
  for_each = local.created_roles

  name               = module.roles.roles[each.key].name
  description        = module.roles.roles[each.key].description
  assume_role_policy = module.roles.roles[each.key].trust
  tags               = local.tags
}

resource "aws_iam_role_policy" "created" {
  for_each = local.created_policies

  name   = module.roles.roles[each.key].policy_name
  role   = aws_iam_role.created[each.key].id
  policy = module.roles.roles[each.key].policy
}

resource "aws_iam_instance_profile" "created" {
  count = var.use_precreated_roles ? 0 : 1

  name = module.roles.roles[local.instance_role_key].instance_profile
  role = aws_iam_role.created[local.instance_role_key].name
  tags = local.tags
}
