# No provider at all: roles are computed, so that they can be printed without an AWS login.

terraform {
  required_version = ">= 1.11, < 2.0"
}
