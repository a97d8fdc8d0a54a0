# Our own image repository, unless the images come from elsewhere.

resource "aws_ecr_repository" "worker" {
  # checkov:skip=CKV_AWS_136:ECR encrypts with AES-256 by itself; a key of one's own would cost and protect nothing more, the images hold no secrets.
  count = var.use_external_images ? 0 : 1

  name                 = "ftm-worker"
  image_tag_mutability = "IMMUTABLE"
  # Images can be built again from the same commit, and `ftm destroy` must leave nothing.
  force_delete = true

  image_scanning_configuration {
    scan_on_push = true
  }

  tags = local.tags
}

resource "aws_ecr_lifecycle_policy" "worker" {
  count = var.use_external_images ? 0 : 1

  repository = aws_ecr_repository.worker[0].name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Images without a tag go after a day"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 1 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "The last ten images stay"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
        action       = { type = "expire" }
      },
    ]
  })
}
