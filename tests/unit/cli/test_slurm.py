"""The scripts of a Slurm run, the [slurm] table, and the cluster's answers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftm_cli.operations.steps import StepRequest, map_step
from ftm_cli.targets.base import RunOptions
from ftm_cli.targets.running import run_quarters
from ftm_cli.targets.slurm.cluster import Cluster, Job
from ftm_cli.targets.slurm.config import SlurmConfig, read_config, seconds_of
from ftm_cli.targets.slurm.scripts import RunScripts, render
from ftm_cli.targets.slurm.target import SlurmTarget
from ftm_core.contracts.errors import InputError
from ftm_core.contracts.events import ignore
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.states import RunState
from ftm_core.storage.local import LocalStorage
from tests.fakes.small_quarter import build_small_quarter

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


def test_gpu_job_watches_the_steps_of_all_runs() -> None:
    scripts = rendered(GPU, "Qwen/Qwen3-8B")
    names = [f"ftm-{run.run}-{step}" for run in RUNS for step in ("plan", "map", "reduce")]
    assert f"--name={','.join(names)})" in scripts["vllm.sh"]
    assert "--port $port" in scripts["vllm.sh"]
    # It must not begin before there is a step to see.
    submit = scripts["submit.sh"].splitlines()
    assert submit.index("submit --hold vllm.sh") < submit.index("submit 2022Q4-plan.sh")
    assert submit[-1] == "scontrol release $vllm"
    assert "--llm-url-file /shared/slurm/x/llm_url" in scripts["2022Q4-map.sh"]
    assert "vllm" not in rendered(GPU)["submit.sh"]


def test_submit_script_takes_back_what_was_submitted(tmp_path: Path) -> None:
    """The third job is refused: the two before it are cancelled, the vLLM job among them."""
    commands = tmp_path / "bin"
    commands.mkdir()
    log = tmp_path / "calls"
    sbatch = f'echo sbatch >>{log}\nn=$(wc -l <{log})\n[ "$n" -lt 3 ] || exit 1\necho "$n;main"'
    for name, body in (("sbatch", sbatch), ("scancel", f'echo "scancel $*" >>{log}')):
        (commands / name).write_text(f"#!/bin/bash\n{body}\n")
        (commands / name).chmod(0o755)
    (tmp_path / "submit.sh").write_text(rendered(GPU, "m")["submit.sh"])
    path = f"{commands}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", tmp_path / "submit.sh"], check=False, env={"PATH": path}, capture_output=True
    )
    assert ended.returncode != 0
    assert log.read_text().splitlines()[-1] == "scancel 1 2"


class GivenCluster(Cluster):
    """A cluster whose queue is ``queue``, and that keeps the scripts it is given."""

    def __init__(self, *queue: Job) -> None:
        self.queue = queue
        self.submitted: list[Path] = []

    def jobs(self, runs: Sequence[str] | None = None) -> list[Job]:
        return [job for job in self.queue if runs is None or job.run in runs]

    def submit(self, script: str) -> str:
        self.submitted.append(Path(script))
        return ""


def test_detached_quarters_share_one_llm_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LLM_BASE_URL", "LLM_LOCAL_MODEL"):
        monkeypatch.delenv(name, raising=False)
    Path("ftm.toml").write_text('[slurm]\ngpu_partition = "gpu"\n')
    cluster = GivenCluster()
    quarters = [Quarter(2022, 4), Quarter(2023, 1)]
    for quarter in quarters:
        build_small_quarter(LocalStorage(tmp_path / "data"), of=quarter, until="map")
    target = SlurmTarget(str(tmp_path / "data"), cluster)
    options = RunOptions(restart=True, detach=True)
    plans = [target.plan(quarter, options) for quarter in quarters]
    outcomes = run_quarters(target, plans, options, ignore)
    assert [outcome.result.quarter for outcome in outcomes] == ["2022Q4", "2023Q1"]
    (script,) = cluster.submitted
    assert script.read_text().count("submit --hold vllm.sh") == 1
    served = (script.parent / "vllm.sh").read_text()
    assert all(f"ftm-{plan.run}-reduce" in served for plan in plans)


def test_llm_job_of_many_quarters_is_no_run(tmp_path: Path) -> None:
    """It is named after the first quarter: neither its run, nor a sign that the run is at work."""
    storage = LocalStorage(tmp_path)
    quarter = build_small_quarter(storage)
    served = f"{quarter.run_id}-to-2023Q4"
    target = SlurmTarget(str(tmp_path), GivenCluster(Job("1", served, "vllm", "RUNNING", "", "")))
    assert [record.state for record in target.history(9)] == [RunState.SUCCEEDED]
    snapshot = target.observe("2023Q1").poll()
    assert (snapshot.run, snapshot.state) == (quarter.run_id, RunState.SUCCEEDED)
    # Saved scripts give it the name of their folder.
    served, step = (
        Job("2", "mine", "vllm", "RUNNING", "", ""),
        Job("1", "2023Q1-20230601-120000", "map", "RUNNING", "", ""),
    )
    snapshot = SlurmTarget(str(tmp_path), GivenCluster(step, served)).observe(None).poll()
    assert (snapshot.run, snapshot.state) == (step.run, RunState.RUNNING)


def test_step_reads_that_the_llm_server_failed(tmp_path: Path) -> None:
    """No waiting and no other attempt: the command of the server must be fixed."""
    url_file = tmp_path / "llm_url"
    url_file.write_text("failed: the LLM server ended with exit code 1; its log is vllm.log\n")
    storage = LocalStorage(tmp_path / "data")
    build_small_quarter(storage)
    step = StepRequest(storage, Quarter(2023, 1), "2023Q1-x", llm_url_file=url_file)
    with pytest.raises(InputError, match="ended with exit code 1"):
        map_step(step, "0", ignore)


@pytest.mark.parametrize(
    ("table", "reported"),
    [('time = "soon"', "Slurm time"), ("partion = 1", "partion"), ("cpus = 0", "cpus")],
)
def test_slurm_table_wrong_option_is_named(tmp_path: Path, table: str, reported: str) -> None:
    path = tmp_path / "ftm.toml"
    path.write_text(f"[slurm]\n{table}\n")
    with pytest.raises(InputError, match=reported):
        read_config(path)
