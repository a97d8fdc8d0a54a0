"""The programs that ftm calls, Terraform and Docker: their versions, or what is wrong with them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from ftm_core.contracts.errors import InputError

# The oldest Terraform in which S3's own locking of state is stable; the modules say the same.
OLDEST_TERRAFORM = (1, 11)
_SECONDS = 30


def terraform_version() -> str:
    """Version of Terraform; raises InputError when it is missing or too old."""
    install = "Install Terraform 1.11 or later and put it on the PATH."
    if shutil.which("terraform") is None:
        raise InputError("Terraform", "is not installed", install)
    # Warnings, such as of a missing configuration file, go to the other stream.
    done = _run("terraform", "version", "-json")
    try:
        version = str(json.loads(done.stdout)["terraform_version"])
    except (ValueError, KeyError) as error:
        raise InputError(
            "Terraform", f"does not report its version ({_last_line(done)})", install
        ) from error
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_TERRAFORM:
        raise InputError(f"Terraform {version}", "is too old", install)
    return version


def docker_version() -> str:
    """Version of the Docker engine; raises InputError when Docker is missing or not running."""
    if shutil.which("docker") is None:
        raise InputError(
            "Docker",
            "is not installed",
            "Install Docker, or name images that exist: `ftm build --map-image-uri ...`.",
        )
    done = _run("docker", "version", "--format", "{{.Server.Version}}")
    if done.returncode != 0:
        raise InputError(
            "Docker",
            f"has no running engine ({_last_line(done)})",
            "Start Docker (such as `sudo systemctl start docker`), or point DOCKER_HOST to it.",
        )
    return f"engine {done.stdout.strip()}"


def unformatted_files(terraform_root: Path) -> str:
    """That `terraform fmt` would change no file; raises InputError naming those it would."""
    terraform_version()
    done = _run("terraform", "fmt", "-check", "-recursive", str(terraform_root))
    if done.returncode != 0:
        files = ", ".join(done.stdout.split()) or f"files it cannot read ({_last_line(done)})"
        raise InputError(
            "The command `terraform fmt`",
            f"would change the format of {files}",
            f"Run `terraform fmt -recursive {terraform_root}`.",
        )
    return "every file is in Terraform's own format"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {_SECONDS} s")


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that a failed command printed."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1].strip().rstrip(".") if lines else f"it ended with {done.returncode}"
