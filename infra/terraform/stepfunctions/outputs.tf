# What the CLI and the operator need to start and watch runs.

output "state_machine_arn" {
  description = "State machine of a quarter; its input is {\"quarter\", \"bucket\"}."
  value       = aws_sfn_state_machine.quarter_processor.arn
}

output "s3_bucket_name" {
  description = "Bucket that the state machine serves."
  value       = var.s3_bucket_name
}

output "deadman_state_machine_arn" {
  description = "Deadman's switch of vLLM; empty where none is watched."
  value       = var.enable_vllm ? aws_sfn_state_machine.deadman[0].arn : ""
}

output "notification_topic_arn" {
  description = "Topic that hears of each run's end; empty without notifications."
  value       = local.notify ? local.topic_arn : ""
}
