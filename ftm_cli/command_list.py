"""The commands of `ftm` by phase, each imported when it is first needed.

`ftm --help` shows names and summaries from here, so it imports no command. A summary repeats the
first sentence of its command's docstring; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer


class CommandEntry(NamedTuple):
    """A command or group: where it is defined, as ``module:name``, and its summary."""

    source: str
    summary: str


def _in(module: str, summary: str, name: str | None = None) -> CommandEntry:
    return CommandEntry(f"ftm_cli.commands.{module}:{name or f'{module}_command'}", summary)


# Phases in the order in which an operator needs them.
PHASES: dict[str, dict[str, CommandEntry]] = {
    "Prepare": {
        "pin-profile": _in(
            "pin_profile",
            "Pin profile, account and region in ftm.toml; STS must agree, before every AWS call.",
        ),
        "config": _in(
            "config",
            "Show each setting with its origin: flag, environment, project file, model or default.",
        ),
        "models": _in("models", "Model files on this machine: fetch.", "models_app"),
        "validate": _in(
            "validate", "Check everything a run needs, before it starts; changes nothing."
        ),
        "build": _in(
            "build",
            "Build the image of all jobs, tagged by its content; with --push, push it to ECR.",
        ),
        "deploy": _in(
            "deploy",
            "Deploy with Terraform: batch without vLLM, ecs, batch with vLLM, stepfunctions.",
        ),
    },
    "Bring transcripts in": {
        "ingest": _in("ingest", "Bring a quarter's transcripts in.", "ingest_app"),
    },
    "Run": {
        "vllm": _in("vllm", "The LLM server on GPU instances: scale, status.", "vllm_app"),
        "scale-up": _in(
            "vllm", "Bring vLLM up: the same as `ftm vllm scale 1`.", "scale_up_command"
        ),
        "run": _in(
            "run", "Run quarters: map every firm's call to topics, reduce all topics to themes."
        ),
        "step": _in("step", "One step of a run, as a job of any scheduler.", "step_app"),
        "cancel": _in("cancel", "Stop a run on AWS or Slurm; its jobs save what is finished."),
        "smoke": _in(
            "smoke", "Test a whole quarter end to end, then tick the runbook's checklist."
        ),
        "scale-down": _in(
            "vllm", "Take vLLM down to no cost: the same as `ftm vllm scale 0`.",
            "scale_down_command",
        ),
    },
    "Watch": {
        "monitor": _in(
            "monitor",
            "Watch a run: states, batches, firms with rate and time left, vLLM, warnings, "
            "cost so far.",
        ),
        "logs": _in("logs", "Show the log of vLLM or of the jobs."),
        "runs": _in("runs", "List runs with state, time and cost."),
        "failures": _in("failures", "List the recorded failures of a quarter, finished or not."),
        "doctor": _in(
            "doctor",
            "Find out why vLLM does not answer, or why a run failed; changes nothing.",
        ),
    },
    "Use the results": {
        "evaluate": _in(
            "evaluate",
            "Check a finished quarter: the runbook's checklist, and that all tables fit together.",
        ),
        "quality": _in(
            "quality",
            "Measure topics and themes: coherence, diversity, coverage, grounding, stability, "
            "recovery.",
        ),
        "themes": _in(
            "themes",
            "Follow themes over successive quarters: continued, merged, gone, split, born, "
            "with growth.",
        ),
        "browse": _in(
            "browse", "Read a finished quarter from the top down, without color or cut lines."
        ),
        "report": _in(
            "report",
            "Write one self-contained HTML page: counts, map, themes, heatmap, checks, quality, "
            "run.",
        ),
        "package": _in(
            "package",
            "Write firms, sentences, topics and the sentiment-ready table of a finished quarter.",
        ),
        "export": _in(
            "export",
            "Export firms, sentences, topics, themes, contributions and the sentiment-ready table.",
        ),
        "schema": _in("schema", "Print the JSON Schema of the result of a command."),
    },
    "Clear away": {
        "destroy": _in(
            "destroy",
            "Destroy what `ftm deploy` made: stepfunctions, ecs, batch; the bucket and its data "
            "stay.",
        ),
    },
}  # fmt: skip


class LazyCommands(Mapping[str, Any]):
    """Typer's commands by name, each built when it is first taken."""

    def __init__(self) -> None:
        self._entries = {name: one for phase in PHASES.values() for name, one in phase.items()}
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(name, self._entries[name])
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _build(name: str, entry: CommandEntry) -> Any:
    """Import one command or group and let Typer build it."""
    module, _, attribute = entry.source.partition(":")
    defined = getattr(import_module(module), attribute)
    # A callback makes Typer build a group, also around a single command.
    around = typer.Typer(add_completion=False, callback=lambda: None, rich_markup_mode="markdown")
    if isinstance(defined, typer.Typer):
        around.add_typer(defined, name=name, help=entry.summary)
    else:
        around.command(name)(defined)
    return typer.main.get_group(around).commands[name]
