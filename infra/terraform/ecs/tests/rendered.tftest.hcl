# Plans that tests/integration/infra reads, to hold code and Terraform together.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_data {
  target = data.aws_subnet.each[1]
  values = { id = "subnet-0123456789abcdef1", availability_zone = "us-west-2b" }
}

run "vllm" {
  command = plan
}
