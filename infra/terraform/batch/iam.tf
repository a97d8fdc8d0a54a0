# Roles of the jobs and their instances: created from the roles module, or looked up by name.

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

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

  created_roles     = toset(var.use_precreated_roles ? [] : ["job", "batch_execution", "batch_instance"])
  precreated_roles  = toset(var.use_precreated_roles ? ["job", "batch_execution"] : [])
  instance_role_key = "batch_instance"

  job_role_arn         = var.use_precreated_roles ? data.aws_iam_role.precreated["job"].arn : aws_iam_role.created["job"].arn
  execution_role_arn   = var.use_precreated_roles ? data.aws_iam_role.precreated["batch_execution"].arn : aws_iam_role.created["batch_execution"].arn
  instance_profile_arn = var.use_precreated_roles ? data.aws_iam_instance_profile.precreated[0].arn : aws_iam_instance_profile.created[0].arn
}

module "roles" {
  source = "../roles"

  account_id             = local.account
  partition              = local.partition
  region                 = var.aws_region
  bucket                 = var.s3_bucket_name
  kms_key_arn            = var.s3_kms_key_arn
  image_repositories     = local.image_repositories
  llm_api_key_secret_arn = var.llm_api_key_secret_arn
  names                  = var.role_names
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
  for_each = local.created_roles

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
