# Own image repositories, unless the images come from elsewhere.

resource "aws_ecr_repository" "images" {
  # checkov:skip=CKV_AWS_136:ECR encrypts with AES-256 by itself; a key of one's own would cost and protect nothing more, the images hold no secrets.
  for_each = var.use_external_images ? toset([]) : toset(["map", "reduce"])

  name                 = "ftm-${each.key}"
  image_tag_mutability = "IMMUTABLE"
  # Images can be built again from the same commit, and `ftm destroy` must leave nothing.
  force_delete = true

  image_scanning_configuration {
    scan_on_push = true
  }

  tags = local.tags
}

resource "aws_ecr_lifecycle_policy" "images" {
  for_each = aws_ecr_repository.images

  repository = each.value.name
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
