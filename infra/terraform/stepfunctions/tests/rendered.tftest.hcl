# Plans that tests/integration/infra reads, to hold code and Terraform together.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  s3_bucket_name = "some-research-bucket"
}

run "silent" {
  command = plan
}

run "notified" {
  command = plan

  variables {
    enable_notifications = true
  }
}

run "without_vllm" {
  command = plan

  variables {
    enable_vllm            = false
    notification_topic_arn = "arn:aws:sns:us-west-2:123456789012:mine"
  }
}
