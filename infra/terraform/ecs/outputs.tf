# What the CLI and the operator need to know of vLLM.

output "base_url" {
  description = "OpenAI-compatible URL of vLLM, as written to SSM."
  value       = "http://${aws_lb.vllm.dns_name}/v1"
}

output "base_url_parameter" {
  description = "SSM parameter that holds the URL."
  value       = aws_ssm_parameter.base_url.name
}

output "cluster_name" {
  description = "Cluster of vLLM."
  value       = aws_ecs_cluster.vllm.name
}

output "service_name" {
  description = "Service of vLLM."
  value       = aws_ecs_service.vllm.name
}

# As job_queue_arn of the batch module: known only once it is there.
output "service_arn" {
  description = "Service of vLLM; there once everything is that other modules look up by name."
  value       = aws_ecs_service.vllm.id

  depends_on = [aws_ssm_parameter.base_url]
}

output "autoscaling_group_name" {
  description = "Group of GPU instances."
  value       = aws_autoscaling_group.vllm.name
}

output "target_group_arn" {
  description = "Target group whose health says when the model is loaded."
  value       = aws_lb_target_group.vllm.arn
}

output "log_group_name" {
  description = "Logs of vLLM."
  value       = aws_cloudwatch_log_group.vllm.name
}
