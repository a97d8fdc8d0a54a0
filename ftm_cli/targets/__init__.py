"""Targets: where work runs, behind one contract that every command uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftm_cli.targets.data import DEFAULT_DATA, chosen_quarter, chosen_target, open_data
from ftm_cli.targets.names import TargetName

if TYPE_CHECKING:
    from ftm_cli.targets.base import Target

__all__ = [
    "DEFAULT_DATA",
    "TargetName",
    "chosen_quarter",
    "chosen_target",
    "open_data",
    "resolve_target",
]


def resolve_target(target: str | None, data: str | None) -> Target:
    """The target asked for, with its data location.

    Raises InputError for an unknown target, or for AWS without a pinned profile.
    """
    name = chosen_target(target)
    if name is TargetName.SLURM:
        from ftm_cli.targets.slurm.target import SlurmTarget

        return SlurmTarget(data)
    if name is TargetName.AWS:
        from ftm_cli.targets.aws import AwsTarget

        return AwsTarget(data)
    from ftm_cli.targets.local import LocalTarget

    return LocalTarget(data)
