# Every role as a value: the other modules create it from here or look it up by its name.

output "roles" {
  description = "By kind of role: module, name, instance_profile (or null), description, trust and policy as JSON, policy_name (both null where the role needs no right of its own)."
  value       = local.roles
}

output "names" {
  description = "Name of each role by kind."
  value       = { for kind, role in local.roles : kind => role.name }
}

output "operator" {
  description = "Policies of the person who deploys with precreated roles and runs quarters, by name, as JSON."
  value       = { for name, statements in local.operator : name => jsonencode({ Version = "2012-10-17", Statement = statements }) }
}

output "readable_prefixes" {
  description = "Key prefixes of the bucket that the jobs read."
  value       = local.readable_prefixes
}

output "writable_prefixes" {
  description = "Key prefixes of the bucket that the jobs write."
  value       = local.writable_prefixes
}
