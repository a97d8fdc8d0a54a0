# Plans that tests/integration/infra reads, to hold code and Terraform together.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "vllm" {
  command = plan
}
