"""The ``[slurm]`` table of ftm.toml: what a cluster asks of its jobs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ftm_cli.operations.aws.project_file import read_table
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.settings import PROJECT_FILE

_TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<rest>\d+(?::\d+){0,2})|(?P<plain>\d+(?::\d+){0,2}))", re.ASCII
)


class SlurmConfig(BaseModel):
    """Options of the jobs; each has the meaning of the sbatch option of its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: str = Field(default="", description="Partition of the steps.")
    account: str = Field(default="", description="Account that is charged.")
    time: str = Field(default="04:00:00", description="Time limit of one step.")
    cpus: int = Field(default=4, ge=1, description="CPUs of one map or reduce job.")
    memory: str = Field(default="8G", description="Memory of one map or reduce job.")
    concurrency: int = Field(default=0, ge=0, description="Map jobs at once; 0 sets no limit.")
    requeues: int = Field(default=10, ge=0, description="Times that one job is queued again.")
    options: tuple[str, ...] = Field(default=(), description="More sbatch options, as written.")
    setup: tuple[str, ...] = Field(default=(), description="Shell lines before each step.")
    container: str = Field(default="", description="Command in front of ftm, as apptainer exec.")
    folder: Path = Field(default=Path("slurm"), description="Scripts and logs; nodes share it.")
    gpu_partition: str = Field(default="", description="Partition of the vLLM job; empty: none.")
    gpu_options: tuple[str, ...] = Field(default=("--gpus=1",), description="Its sbatch options.")
    gpu_time: str = Field(default="12:00:00", description="Its time limit.")
    gpu_cpus: int = Field(default=4, ge=1, description="Its CPUs.")
    gpu_memory: str = Field(default="32G", description="Its memory.")
    gpu_container: str = Field(default="", description="Command in front of vllm.")
    vllm_command: str = Field(
        default="vllm serve {model} --host 0.0.0.0 --port {port}",
        description="Starts the LLM server; {model} and {port} are filled in.",
    )
    vllm_port: int = Field(default=0, ge=0, le=65535, description="Its port; 0: by the job's ID.")

    @field_validator("time", "gpu_time")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        seconds_of(value)
        return value


def seconds_of(time: str) -> int:
    """Seconds of a Slurm time such as ``90``, ``04:00:00`` or ``1-12``; ValueError for others."""
    match = _TIME.fullmatch(time)
    if match is None:
        raise ValueError(f"{time!r} is not a Slurm time: write minutes, HH:MM:SS or D-HH")
    if match["days"] is not None:
        parts = [int(part) for part in match["rest"].split(":")] + [0, 0]
        return int(match["days"]) * 86400 + parts[0] * 3600 + parts[1] * 60 + parts[2]
    numbers = [int(part) for part in match["plain"].split(":")]
    if len(numbers) == 3:
        return numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    minutes, seconds = (*numbers, 0)[:2]
    return minutes * 60 + seconds


def read_config(path: Path | None = None) -> SlurmConfig:
    """The table of ftm.toml; raises InputError naming an option that is unknown or wrong."""
    path = path or Path(PROJECT_FILE)
    try:
        return SlurmConfig.model_validate(read_table(path, "slurm"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"The option {name} in [slurm] of {path}",
            f"is not valid: {first['msg']}",
            f"Use the options {', '.join(SlurmConfig.model_fields)}.",
        ) from error


def ftm_command(config: SlurmConfig) -> str:
    """How a job starts ftm: in the container, else with this interpreter, which nodes share."""
    return f"{config.container} ftm" if config.container else f"{sys.executable} -m ftm_cli"
