"""Which ftm this is: its version, and the commit that it was built from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ftm_core import __version__

COMMIT_VARIABLE = "FTM_COMMIT"
_PACKAGE = Path(__file__).resolve().parent
_GIT_SECONDS = 10


def version_text() -> str:
    """Version and commit, as ``ftm --version`` prints them; without a known commit, the version."""
    commit = source_commit()
    return f"{__version__} (commit {commit})" if commit else __version__


def source_commit() -> str:
    """Commit of this code, with ``-dirty`` after local changes; empty when it is unknown.

    An image names it in FTM_COMMIT, a wheel in a file that the build wrote, a checkout by git.
    """
    if os.environ.get(COMMIT_VARIABLE):
        return os.environ[COMMIT_VARIABLE]
    written = _PACKAGE / "commit.txt"
    if written.is_file():
        return written.read_text(encoding="ascii").strip()
    if not (_PACKAGE.parent / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=_PACKAGE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
