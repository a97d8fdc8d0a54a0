"""Names of the targets."""

from __future__ import annotations

from enum import StrEnum


class TargetName(StrEnum):
    """Targets that ``--target`` accepts."""

    LOCAL = "local"
    AWS = "aws"
    SLURM = "slurm"
