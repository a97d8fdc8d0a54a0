"""The three modules in small: Terraform's built-in resource alone, with our variables and outputs.

The end-to-end test applies the real modules. Here the commands' order, questions and repeats count:
nothing of AWS is made and a step takes a second. While the file ``broken`` lies beside the modules,
applying ecs fails half-way: one of its two resources is made. ``slow`` gives time to stop it there.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.emulator.process import ROOT

_BODIES = {
    "batch": """
resource "terraform_data" "jobs" {
  input = "${var.map_image_uri}${var.image_tag}"
}

resource "terraform_data" "llm" {
  count = var.enable_vllm ? 1 : 0
  input = "http://vllm/v1"
}

output "job_queue_arn" {
  value = terraform_data.jobs.id
}

output "image_repository_url" {
  value = var.use_external_images ? "" : "123456789012.dkr.ecr.us-west-2.amazonaws.com/ftm-worker"
}
""",
    "ecs": """
resource "terraform_data" "first" {}

resource "terraform_data" "service" {
  depends_on = [terraform_data.first]

  provisioner "local-exec" {
    command = "test ! -e ../slow || sleep 60; test ! -e ../broken"
  }
}

output "service_arn" {
  value = terraform_data.service.id
}
""",
    "stepfunctions": """
resource "terraform_data" "machine" {
  input = var.s3_bucket_name
}

output "state_machine_arn" {
  value = terraform_data.machine.id
}
""",
}
_PROVIDER_BLOCKS = re.compile(
    r"\n  required_providers \{.*?\n  \}|\nprovider \"aws\" \{.*?\n\}", re.S
)


def write_small_modules(root: Path) -> None:
    """Make ``infra/terraform`` under ``root``; the roles are the real ones."""
    roles = Path("infra") / "terraform" / "roles"
    shutil.copytree(ROOT / roles, root / roles, ignore=shutil.ignore_patterns(".terraform"))
    for name, body in _BODIES.items():
        real = ROOT / "infra" / "terraform" / name
        folder = root / "infra" / "terraform" / name
        folder.mkdir(parents=True)
        shutil.copy(real / "variables.tf", folder)
        versions = (real / "versions.tf").read_text(encoding="utf-8")
        (folder / "versions.tf").write_text(_PROVIDER_BLOCKS.sub("", versions), encoding="utf-8")
        (folder / "main.tf").write_text(body.lstrip("\n"), encoding="utf-8")
