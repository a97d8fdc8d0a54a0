"""What submissions left in their folders: scripts, logs and the exit code of each step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ftm_core.contracts.errors import InputError
from ftm_core.contracts.quarters import Quarter

STEPS = ("vllm", "plan", "map", "reduce")


@dataclass(frozen=True)
class Submissions:
    """The submissions whose folders are in ``folder``; of each quarter the latest one counts."""

    folder: Path

    def latest(self, quarter: Quarter | None) -> Path | None:
        """Folder of the latest submission of a quarter, or of any."""
        prefix = f"{quarter}-" if quarter else ""
        scripts = sorted(
            (path.stat().st_mtime, path.parent) for path in self.folder.glob(f"*/{prefix}*plan.sh")
        )
        return scripts[-1][1] if scripts else None

    def exit_codes(self, quarter: Quarter) -> Iterator[tuple[Path, int]]:
        """File and exit code of each step and task of the quarter's latest submission."""
        folder = self.latest(quarter)
        if folder is None:
            return
        order = {step: number for number, step in enumerate(STEPS)}
        files = folder.glob(f"{quarter}-*.exit")
        for path in sorted(files, key=lambda item: (order.get(step_of(item), 9), item)):
            text = path.read_text(encoding="utf-8").strip()
            if text.isdecimal():
                yield path, int(text)

    def log_files(self, source: str) -> list[Path]:
        """Logs of a step (one of STEPS) of the latest submission.

        Raises InputError for an unknown step, or when nothing was submitted.
        """
        if source not in STEPS:
            raise InputError(f"The log {source}", "is not known", "Use vllm, plan, map or reduce.")
        folder = self.latest(None)
        if folder is None:
            raise InputError(
                f"The folder {self.folder}",
                "has no logs, because no run was submitted from this folder",
                "Submit one with `ftm run --target slurm --quarter Q`.",
            )
        pattern = "vllm.log" if source == "vllm" else f"*-{source}*.log"
        return sorted(folder.glob(pattern))


def step_of(path: Path) -> str:
    """The step that wrote a log or an exit code, by the file's name."""
    return path.stem.split("-")[1]


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log that are not blank; none when there is no log."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]
