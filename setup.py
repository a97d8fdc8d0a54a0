"""What pyproject.toml cannot say: the commit and the deployment's files go into what is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
COMMIT_FILE = "ftm_core/commit.txt"
# Needed by `ftm deploy` and `ftm build`, and outside the packages because others use them, too.
DEPLOYMENT = "ftm_cli/deployment"
DEPLOYMENT_FILES = ("pyproject.toml", "requirements.lock", "infra/containers", "infra/terraform")
LOCAL_FILES = (".terraform", "*.tfstate*", "*.tfvars", "*.tfplan", "backend_override.tf")
LEFT_OUT = shutil.ignore_patterns(*LOCAL_FILES, "tests", "__pycache__")


def commit() -> str:
    """Commit of the sources: FTM_COMMIT, the checkout's, or the source distribution's."""
    if os.environ.get("FTM_COMMIT"):
        return os.environ["FTM_COMMIT"]
    if (ROOT / ".git").exists():
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()
    written = ROOT / COMMIT_FILE
    return written.read_text(encoding="ascii").strip() if written.is_file() else ""


def write_commit(root: Path) -> None:
    """Write the commit below ``root``, where ``ftm --version`` reads it."""
    target = root / COMMIT_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(commit() + "\n", encoding="ascii")


class BuildWithDeployment(build_py):
    """Adds the commit, the Terraform modules and the image's files to the packages."""

    def run(self) -> None:
        """Build the packages, then add the files; an editable install finds them where they are."""
        super().run()
        if self.editable_mode:
            return
        built = Path(self.build_lib)
        write_commit(built)
        target = built / DEPLOYMENT
        shutil.rmtree(target, ignore_errors=True)
        for name in DEPLOYMENT_FILES:
            source = ROOT / name
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=LEFT_OUT)
            else:
                shutil.copy2(source, target / name)


class SdistWithCommit(sdist):
    """Writes the commit into a source distribution, which has no history to ask."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Make the tree, then add the file."""
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir))


setup(cmdclass={"build_py": BuildWithDeployment, "sdist": SdistWithCommit})
