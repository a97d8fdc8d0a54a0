"""Render the sbatch scripts of a run, and the script that submits them in order."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftm_cli.targets.slurm.config import SlurmConfig, ftm_command, seconds_of

SUBMIT = "submit.sh"
JOBS = "jobs.txt"
URL_FILE = "llm_url"
_SAVING_SECONDS = 120
_STEPS = ("plan", "map", "reduce")
# Of the LLM server's job: between two looks at the server, and every how many of them one at the
# queue.
_ROUND_SECONDS = 2
_QUEUE_ROUNDS = 10
# Ports of servers of different jobs on one node differ.
_FIRST_PORT, _N_PORTS = 20_000, 20_000

# Runs the step as a child, so that SIGTERM (preemption, the time limit, scancel) reaches it and
# the script waits until it has saved. A step that ends with 75 is queued again, unless the job is
# being cancelled or preempted: the first must stay ended, the second Slurm queues by itself.
_STEP = """\
{command} &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM
while :; do
  wait "$child"
  code=$?
  if [ "$code" -le 128 ] || ! kill -0 "$child" 2>/dev/null; then break; fi
done
wait "$child" 2>/dev/null
again=$?
if [ "$again" -ne 127 ]; then code=$again; fi
echo "$code" >"{exit_file}"
if [ "$code" -eq 75 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
  if scontrol show job --oneliner "$SLURM_JOB_ID" | grep -q ' JobState=RUNNING '; then
    scontrol requeue "$SLURM_JOB_ID"
  fi
fi
exit "$code"
"""

# The job ends itself when no step of its runs is in the queue any more, however they ended, so that
# its GPU waits for nothing. A server that ends by itself is started again, on another node perhaps;
# one that never answered is not: the steps read from the URL file that it failed.
_VLLM = """\
{command} &
child=$!
ready= stopping= over= rounds=0
trap 'stopping=1; kill -TERM "$child" 2>/dev/null' TERM
publish() {{ echo "$1" >"{url_file}.new"; mv "{url_file}.new" "{url_file}"; }}
while kill -0 "$child" 2>/dev/null; do
  if [ -z "$ready" ]; then
    if curl --noproxy '*' --silent --fail --output /dev/null "http://127.0.0.1:$port/health"; then
      ready=1
      publish "http://$(hostname):$port/v1"
    fi
  fi
  rounds=$((rounds + 1))
  if [ $((rounds % {queue_rounds})) -eq 0 ]; then
    if found=$(squeue --noheader --format=%i --name={steps}) && [ -z "$found" ]; then
      echo "No step of the runs is in the queue any more: the LLM server ends."
      over=1
      kill -TERM "$child"
      break
    fi
  fi
  sleep {round_seconds} &
  wait "$!"
done
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
rm -f "{url_file}"
state=$(scontrol show job --oneliner "$SLURM_JOB_ID")
if [ -z "$over" ] && [ "${{state#* JobState=RUNNING }}" != "$state" ]; then
  if [ -n "$ready$stopping" ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
    echo "The LLM server ended with exit code $code: it is started again."
    scontrol requeue "$SLURM_JOB_ID"
  else
    publish "failed: the LLM server ended with exit code $code; its log is {log}"
  fi
fi
exit "$code"
"""


@dataclass(frozen=True)
class RunScripts:
    """What the scripts of one quarter's run need to know.

    ``tasks`` are the numbers of the batches that are not finished; none skips the map.
    """

    quarter: str
    run: str
    data: str
    tasks: tuple[int, ...]
    restart: bool = False
    max_firms: int | None = None


def job_name(run: str, step: str) -> str:
    """Name of a step's job, by which squeue finds it."""
    return f"ftm-{run}-{step}"


def render(
    runs: Sequence[RunScripts],
    config: SlurmConfig,
    folder: Path,
    *,
    environment: Mapping[str, str],
    serves: str | None,
) -> dict[str, str]:
    """Name and text of each script for ``runs``.

    ``environment`` is exported to every step. ``serves`` is the model that a vLLM job on the GPU
    partition serves for all of them; None without such a job.
    """
    lead = f"submission {folder.name}"
    scripts: dict[str, str] = {}
    for run in runs:
        for step in _STEPS if run.tasks else ("plan", "reduce"):
            scripts[f"{run.quarter}-{step}.sh"] = _step_script(
                run, step, config, folder, environment, serves
            )
    if serves is not None:
        scripts["vllm.sh"] = _vllm_script(lead, runs, serves, config, folder)
    scripts[SUBMIT] = _submit_script(lead, runs, serves is not None)
    return scripts


def _step_script(
    run: RunScripts,
    step: str,
    config: SlurmConfig,
    folder: Path,
    environment: Mapping[str, str],
    serves: str | None,
) -> str:
    is_map = step == "map"
    suffix = "-%a" if is_map else ""
    limit = seconds_of(config.time)
    options = [
        f"--job-name={job_name(run.run, step)}",
        f"--output={folder}/{run.quarter}-{step}{suffix}.log",
        "--open-mode=append",
        "--requeue",
        f"--chdir={Path.cwd()}",
        f"--time={config.time}",
        # Time to save before the limit.
        f"--signal=B:TERM@{min(_SAVING_SECONDS, max(1, limit // 4))}",
        "--ntasks=1",
        f"--cpus-per-task={1 if step == 'plan' else config.cpus}",
        f"--mem={config.memory}",
        *([f"--partition={config.partition}"] if config.partition else []),
        *([f"--account={config.account}"] if config.account else []),
        *([f"--array={_array(run.tasks, config.concurrency)}"] if is_map else []),
        *config.options,
    ]
    arguments = [
        "step", step, "--quarter", run.quarter, "--run-name", run.run, "--data", run.data,
    ]  # fmt: skip
    if step == "plan":
        arguments += ["--restart"] if run.restart else []
        arguments += ["--max-firms", str(run.max_firms)] if run.max_firms else []
    if serves is not None:
        arguments += ["--llm-url-file", str(folder / URL_FILE)]
    command = f"{ftm_command(config)} {shlex.join(arguments)}"
    if is_map:
        command += ' --batch "$SLURM_ARRAY_TASK_ID"'
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if step != "plan":
        exports.append(f"export MAP_WORKERS={max(1, config.cpus - 1)}")
    task = "-$SLURM_ARRAY_TASK_ID" if is_map else ""
    body = _STEP.format(
        command=command,
        exit_file=f"{folder}/{run.quarter}-{step}{task}.exit",
        requeues=config.requeues,
    )
    title = f"The {step} step of run {run.run}."
    return _script(title, options, [*config.setup, *exports], body)


def _vllm_script(
    lead: str, runs: Sequence[RunScripts], model: str, config: SlurmConfig, folder: Path
) -> str:
    limit = seconds_of(config.gpu_time)
    options = [
        f"--job-name={job_name(folder.name, 'vllm')}",
        f"--output={folder}/vllm.log",
        "--open-mode=append",
        "--requeue",
        f"--chdir={Path.cwd()}",
        f"--time={config.gpu_time}",
        # Time to be queued again before the limit.
        f"--signal=B:TERM@{min(_SAVING_SECONDS, max(1, limit // 4))}",
        "--ntasks=1",
        f"--cpus-per-task={config.gpu_cpus}",
        f"--mem={config.gpu_memory}",
        f"--partition={config.gpu_partition}",
        *([f"--account={config.account}"] if config.account else []),
        *config.gpu_options,
    ]
    command = config.vllm_command.format(model=shlex.quote(model), port="$port")
    if config.gpu_container:
        command = f"{config.gpu_container} {command}"
    names = [job_name(run.run, step) for run in runs for step in _STEPS]
    body = _VLLM.format(
        command=command,
        url_file=folder / URL_FILE,
        steps=",".join(names),
        log=folder / "vllm.log",
        requeues=config.requeues,
        queue_rounds=_QUEUE_ROUNDS,
        round_seconds=_ROUND_SECONDS,
    )
    port = config.vllm_port or f"$(({_FIRST_PORT} + SLURM_JOB_ID % {_N_PORTS}))"
    title = f"The LLM server of {lead}; its URL goes to {URL_FILE}."
    setup = [
        *config.setup,
        f"port={port}",
        # The server asks for the key that the steps send.
        '[ -z "${LLM_API_KEY:-}" ] || export VLLM_API_KEY="$LLM_API_KEY"',
        f'rm -f "{folder / URL_FILE}"',
    ]
    return _script(title, options, setup, body)


def _script(title: str, options: Sequence[str], setup: Sequence[str], body: str) -> str:
    head = ["#!/bin/bash", f"# {title}", *(f"#SBATCH {option}" for option in options), "set -u"]
    return "\n".join([*head, *setup, "", body])


def _submit_script(lead: str, runs: Sequence[RunScripts], has_vllm: bool) -> str:
    lines = [
        "#!/bin/bash",
        f"# Submit {lead}: each step waits for the one before it. Prints the ids of the jobs.",
        "set -euo pipefail",
        'cd "$(dirname "$0")"',
        "submitted=()",
        # All or nothing: a job that is refused takes back those before it.
        "trap '[ $? -eq 0 ] || [ ${#submitted[@]} -eq 0 ] || scancel \"${submitted[@]}\"' EXIT",
        "submit() {",
        '  id=$(sbatch --parsable --kill-on-invalid-dep=yes "$@")',
        '  id="${id%%;*}"',
        '  submitted+=("$id")',
        f'  echo "${{!#}} $id" | tee -a {JOBS}',
        "}",
    ]
    server = ""
    if has_vllm:
        # Held until the steps are in the queue: the job ends when it sees none of them.
        lines += ["submit --hold vllm.sh", "vllm=$id"]
        server = ",after:$vllm"
    for run in runs:
        lines += [f"submit {run.quarter}-plan.sh"]
        if run.tasks:
            lines += [f"submit --dependency=afterok:$id{server} {run.quarter}-map.sh"]
        lines += [f"submit --dependency=afterok:$id{server} {run.quarter}-reduce.sh"]
    if has_vllm:
        lines += ["scontrol release $vllm"]
    return "\n".join(lines) + "\n"


def _array(tasks: Sequence[int], concurrency: int) -> str:
    """Task numbers as Slurm writes them, neighbors as a range."""
    spans: list[list[int]] = []
    for task in sorted(tasks):
        if spans and task == spans[-1][1] + 1:
            spans[-1][1] = task
        else:
            spans.append([task, task])
    text = ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)
    return f"{text}%{concurrency}" if concurrency else text
