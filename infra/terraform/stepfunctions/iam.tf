# Roles of the two state machines and of the events that start one: created here, or looked up.

locals {
  role_keys        = concat(["quarter_processor"], var.enable_vllm ? ["deadman", "events"] : [])
  created_roles    = toset(var.use_precreated_roles ? [] : local.role_keys)
  precreated_roles = toset(var.use_precreated_roles ? local.role_keys : [])

  role_arns = {
    for kind in local.role_keys : kind =>
    var.use_precreated_roles ? data.aws_iam_role.precreated[kind].arn : aws_iam_role.created[kind].arn
  }
  quarter_processor_role_arn = local.role_arns["quarter_processor"]
  deadman_role_arn           = lookup(local.role_arns, "deadman", "")
  events_role_arn            = lookup(local.role_arns, "events", "")
}

module "roles" {
  source = "../roles"

  account_id             = local.account
  partition              = local.partition
  region                 = var.aws_region
  bucket                 = var.s3_bucket_name
  kms_key_arn            = var.s3_kms_key_arn
  notification_topic_arn = local.notify ? local.topic_arn : ""
  enable_execution_logs  = var.enable_execution_logs
  enable_xray            = var.enable_xray
  names                  = var.role_names
}

# --- made by an administrator, as `ftm deploy --roles` prints them ---------------------------------

data "aws_iam_role" "precreated" {
  for_each = local.precreated_roles
  name     = module.roles.names[each.key]
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
