# Plans that tests/integration/infra reads, to hold code and Terraform together.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  s3_bucket_name      = "some-research-bucket"
  use_external_images = true
  map_image_uri       = "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-worker:v1"
  reduce_image_uri    = "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-worker:v1"
  enable_vllm         = true
}

run "second_pass" {
  command = plan
}
