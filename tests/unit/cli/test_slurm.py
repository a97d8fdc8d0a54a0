"""The scripts of a Slurm run, the [slurm] table, and the cluster's answers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_cli.targets.slurm.config import SlurmConfig, read_config, seconds_of
from ftm_cli.targets.slurm.scripts import RunScripts, render
from ftm_core.contracts.errors import InputError

RUNS = (
    RunScripts("2022Q4", "2022Q4-20230601-120000", "/shared/data", (0, 1, 2, 5), max_firms=9),
    RunScripts("2023Q1", "2023Q1-20230601-120000", "/shared/data", ()),
)
GPU = SlurmConfig(gpu_partition="gpu", partition="cpu", account="lab", concurrency=2)


def rendered(config: SlurmConfig, serves: str | None = None) -> dict[str, str]:
    environment = {"LLM_API_KEY": "it's secret"}
    return render(RUNS, config, Path("/shared/slurm/x"), environment=environment, serves=serves)


@given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_seconds_of_reads_every_form(days: int, hours: int, minutes: int, seconds: int) -> None:
    clock = hours * 3600 + minutes * 60 + seconds
    assert seconds_of(f"{hours}:{minutes}:{seconds}") == clock
    assert seconds_of(f"{days}-{hours}:{minutes}:{seconds}") == days * 86400 + clock
    assert seconds_of(f"{days}-{hours}") == days * 86400 + hours * 3600
    assert seconds_of(f"{minutes}:{seconds}") == minutes * 60 + seconds
    assert seconds_of(f"{minutes}") == minutes * 60


@pytest.mark.parametrize("text", ["", "1h", "1:2:3:4", "-1", "1-", "²"])
def test_seconds_of_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Slurm time"):
        seconds_of(text)


def test_scripts_are_valid_bash(tmp_path: Path) -> None:
    for config, serves in ((SlurmConfig(), None), (GPU, "Qwen/Qwen3-8B")):
        for name, text in rendered(config, serves).items():
            path = tmp_path / name
            path.write_text(text)
            subprocess.run(["bash", "-n", path], check=True)


def test_map_array_holds_open_batches_alone() -> None:
    scripts = rendered(GPU)
    assert "#SBATCH --array=0-2,5%2\n" in scripts["2022Q4-map.sh"]
    assert "2023Q1-map.sh" not in scripts
    assert "export LLM_API_KEY='it'\"'\"'s secret'" in scripts["2022Q4-plan.sh"]


def test_gpu_job_is_ended_after_all_runs() -> None:
    submit = rendered(GPU, "Qwen/Qwen3-8B")["submit.sh"]
    assert "afterany:$end0:$end1" in submit
    assert "scancel $vllm" in submit
    assert "--llm-url-file /shared/slurm/x/llm_url" in rendered(GPU, "m")["2022Q4-map.sh"]
    assert "vllm" not in rendered(GPU)["submit.sh"]


@pytest.mark.parametrize(
    ("table", "reported"),
    [('time = "soon"', "Slurm time"), ("partion = 1", "partion"), ("cpus = 0", "cpus")],
)
def test_slurm_table_wrong_option_is_named(tmp_path: Path, table: str, reported: str) -> None:
    path = tmp_path / "ftm.toml"
    path.write_text(f"[slurm]\n{table}\n")
    with pytest.raises(InputError, match=reported):
        read_config(path)
