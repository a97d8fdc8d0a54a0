# What the other modules, the CLI and the operator need to know.

output "region" {
  description = "Region of the jobs."
  value       = var.aws_region
}

output "s3_bucket_name" {
  description = "Bucket that holds the data of all quarters."
  value       = var.s3_bucket_name
}

output "vpc_id" {
  description = "VPC of the jobs; the ecs module must use the same."
  value       = local.vpc_id
}

output "security_group_id" {
  description = "Security group of the jobs (ftm-batch-sg)."
  value       = aws_security_group.batch.id
}

output "job_queue_name" {
  description = "Queue of all jobs."
  value       = aws_batch_job_queue.main.name
}

# Terraform writes an output whose value it knows from the plan even when the apply fails. An ARN is
# known only once its resource is there, so this one says whether the module is there for others.
output "job_queue_arn" {
  description = "Queue of all jobs; there once everything is that other modules look up by name."
  value       = aws_batch_job_queue.main.arn

  depends_on = [aws_batch_job_definition.jobs]
}

output "job_definition_names" {
  description = "Job definitions by kind of job: plan, map, reduce."
  value       = { for kind, job in aws_batch_job_definition.jobs : kind => job.name }
}

output "job_definition_arns" {
  description = "Current revision of each job definition."
  value       = { for kind, job in aws_batch_job_definition.jobs : kind => job.arn }
}

output "log_group_name" {
  description = "Logs of all jobs; streams begin with quarter-planner, firm-processor, theme-aggregator."
  value       = aws_cloudwatch_log_group.batch.name
}

output "map_image_uri" {
  description = "Image of the planning and map jobs."
  value       = local.map_image
}

output "reduce_image_uri" {
  description = "Image of the reduce job."
  value       = local.reduce_image
}

output "image_repository_url" {
  description = "Our own image repository; empty with external images."
  value       = one(aws_ecr_repository.worker[*].repository_url)
}

output "llm_base_url" {
  description = "LLM URL that the jobs are given; empty on the first pass."
  value       = local.llm_base_url
}

output "glue_database_name" {
  description = "Database that Athena shows."
  value       = aws_glue_catalog_database.ftm.name
}

output "wrds_secret_arn" {
  description = "Secret to put WRDS credentials into; empty without enable_wrds_secrets."
  value       = var.enable_wrds_secrets ? aws_secretsmanager_secret.wrds[0].arn : ""
}
