# What AWS would answer, for plans that call nothing.

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}
mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}
mock_data "aws_vpc" {
  defaults = { id = "vpc-0123456789abcdef0" }
}
mock_data "aws_subnets" {
  defaults = { ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"] }
}
mock_data "aws_ssm_parameter" {
  defaults = { insecure_value = "http://vllm.internal/v1" }
}
mock_data "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/precreated" }
}
mock_data "aws_iam_instance_profile" {
  defaults = { arn = "arn:aws:iam::123456789012:instance-profile/precreated" }
}
mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/created" }
}
mock_resource "aws_iam_instance_profile" {
  defaults = { arn = "arn:aws:iam::123456789012:instance-profile/created" }
}
mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:us-west-2:123456789012:log-group:/aws/batch/ftm" }
}
mock_resource "aws_ecr_repository" {
  defaults = { repository_url = "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-mocked" }
}
mock_resource "aws_batch_compute_environment" {
  defaults = { arn = "arn:aws:batch:us-west-2:123456789012:compute-environment/mocked" }
}
mock_resource "aws_launch_template" {
  defaults = { id = "lt-0123456789abcdef0", latest_version = 3 }
}
