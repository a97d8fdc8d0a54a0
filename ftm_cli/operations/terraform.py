"""One Terraform module as plain values: initialise, plan, apply, outputs."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftm_core.contracts.errors import FtmError, InputError, RetryableError
from ftm_core.contracts.events import (
    Listener,
    Note,
    StageAdvanced,
    StageFinished,
    StageStarted,
    ignore,
)

# What the AWS provider and backend say when nobody is logged in, in lower case.
_LOGGED_OUT = ("expiredtoken", "no valid credential sources", "token has expired", "sso session")
_BUSY = (
    "throttling",
    "rate exceeded",
    "requestlimitexceeded",
    "error acquiring the state lock",
)
_OTHER_PLATFORM = "checksums previously recorded"
BACKEND_FILE = "backend_override.tf"


class TerraformError(FtmError):
    """Terraform refused or failed; what was made before stays in its state for a repeat."""


class TerraformRetryableError(TerraformError, RetryableError):
    """AWS throttled, or another apply holds the state."""

    exit_code = RetryableError.exit_code


@dataclass(frozen=True)
class Counts:
    """Resources that a plan adds, changes in place and destroys; a replacement counts in two."""

    add: int = 0
    change: int = 0
    destroy: int = 0

    @property
    def total(self) -> int:
        """All single changes."""
        return self.add + self.change + self.destroy


@dataclass(frozen=True)
class Plan:
    """A plan on disk, good for one apply, and what it would do."""

    path: Path
    counts: Counts
    changes_something: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class StateBucket:
    """Where state lies when it is shared: a bucket, locked by S3 itself."""

    name: str
    region: str
    profile: str | None = None

    def configuration(self, module: str) -> dict[str, str]:
        """Arguments of Terraform's S3 backend for one module."""
        given = {
            "bucket": self.name,
            "key": f"ftm/terraform/{module}.tfstate",
            "region": self.region,
            "use_lockfile": "true",
            "encrypt": "true",
        }
        return given | ({"profile": self.profile} if self.profile else {})


@dataclass(frozen=True)
class TerraformModule:
    """A folder of Terraform with the values of its variables; names are those of its folder."""

    folder: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    state_bucket: StateBucket | None = None

    @property
    def name(self) -> str:
        """Name of the module, as in ``infra/terraform/NAME``."""
        return self.folder.name

    def initialise(self) -> None:
        """Fetch the locked provider and settle where the state lies, moving it when that changed.

        Raises InputError when Terraform is not installed, TerraformError when it fails.
        """
        override = self.folder / BACKEND_FILE
        if self.state_bucket is None:
            override.unlink(missing_ok=True)
            backend = None
        else:
            override.write_text('terraform {\n  backend "s3" {}\n}\n', encoding="utf-8")
            backend = self.state_bucket.configuration(self.name)
        # force_copy answers yes to moving the state; with nothing to move it does nothing.
        self._run("init", backend_config=backend, force_copy=_flag())
        self._refuse_other_workspaces()

    def validate(self) -> str:
        """Terraform's verdict on the module; raises TerraformError with what is wrong.

        Providers go to a folder that all modules share, so that the module's own, which knows where
        its state lies, is left alone.
        """
        shared = {"TF_DATA_DIR": str((self.folder.parent / ".terraform").absolute())}
        fetch: dict[str, Any] = {"backend": False, "input": False, "lockfile": "readonly"}
        for command, options, hint in (
            ("init", fetch, "Make sure that Terraform can fetch the locked provider, then repeat."),
            ("validate", {}, f"Correct the module in {self.folder}."),
        ):
            code, output, errors = self._terraform(shared).cmd(command, no_color=_flag(), **options)
            if code != 0:
                where = f"The command `terraform {command}` of the module {self.name}"
                cause = _plain(errors or output)
                if _OTHER_PLATFORM in cause:
                    raise _failure(where, cause)
                raise TerraformError(where, f"failed: {cause}", hint)
        return "valid"

    @contextlib.contextmanager
    def plan(self, *, destroy: bool = False) -> Iterator[Plan]:
        """Plan against what is really there; the plan's file lives as long as the block.

        A plan holds the values of variables, so it is never left behind in a folder.
        """
        with tempfile.TemporaryDirectory(prefix="ftm-plan-") as scratch:
            path = Path(scratch) / "plan"
            options: dict[str, Any] = {"destroy": _flag()} if destroy else {}
            code, _ = self._run(
                "plan",
                accepted=(0, 2),
                out=str(path),
                detailed_exitcode=_flag(),
                lock_timeout="60s",
                var=dict(self.variables),
                **options,
            )
            _, shown = self._run("show", str(path), json=_flag())
            counts, addresses = _counted(json.loads(shown))
            yield Plan(path, counts, code == 2, addresses)

    def apply(self, plan: Plan, listener: Listener = ignore) -> None:
        """Apply the plan and report each finished resource to the listener.

        Ctrl-C is passed on once, so that Terraform finishes what it has begun and saves its state.
        """
        stage = f"terraform {self.name}"
        listener(StageStarted(stage, plan.counts.total, "resources"))
        began = time.monotonic()
        command = self._terraform().generate_cmd_string(
            "apply", str(plan.path), json=_flag(), input=False, lock_timeout="60s"
        )
        problems: list[str] = []
        left = plan.counts.total
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A session of its own: the terminal's Ctrl-C must not reach Terraform a second time,
            # which it would take as an order to drop everything.
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                message = _message(line)
                if message.get("type") == "apply_complete":
                    # Data that could only be read now is no resource of the plan's counts.
                    if message["hook"].get("action") != "read":
                        left -= 1
                        listener(StageAdvanced(stage))
                elif message.get("@level") == "error":
                    problems.append(_problem(message))
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            # The terminal may be what was lost.
            with contextlib.suppress(OSError):
                listener(Note("Stopping: Terraform finishes what it has begun", "warning"))
            # Read to the end, or it would wait for room to write and never finish.
            process.communicate()
            raise
        if code != 0:
            raise _failure(f"terraform apply of {self.name}", "; ".join(problems) or "failed")
        # What turned out to need no change, once values that it waited for were known.
        listener(StageAdvanced(stage, left))
        listener(StageFinished(stage, time.monotonic() - began))

    def outputs(self) -> dict[str, Any]:
        """Outputs of the last apply by name; empty where the module was never applied."""
        _, text = self._run("output", json=_flag())
        return {name: output["value"] for name, output in json.loads(text).items()}

    def addresses(self) -> frozenset[str]:
        """Addresses of everything that this module made, from its state."""
        _, text = self._run("state pull")
        resources = json.loads(text)["resources"] if text.strip() else []
        return frozenset(
            f"{resource['type']}.{resource['name']}{_index(instance)}"
            for resource in resources
            if resource["mode"] == "managed" and "module" not in resource
            for instance in resource["instances"]
        )

    def holds_anything(self) -> bool:
        """Whether anything that this module made is still there, be it half-applied."""
        _, text = self._run("state pull")
        return _holds_managed(text)

    def _refuse_other_workspaces(self) -> None:
        """Raise InputError when a workspace other than the default one holds resources.

        Terraform would plan everything a second time, and a destroy would find nothing.
        """
        _, listed = self._run("workspace list")
        # Under the list Terraform may add a note of its own.
        names = [line[2:] for line in listed.splitlines() if line[:2] in ("* ", "  ")]
        for name in names:
            if name.strip() in {"", "default"}:
                continue
            code, text, errors = self._terraform({"TF_WORKSPACE": name.strip()}).cmd("state pull")
            if code != 0:
                raise _failure(f"terraform state of {self.name} in workspace {name}", errors)
            if _holds_managed(text):
                raise InputError(
                    f"The module {self.name}",
                    f"has resources of an earlier deployment in the Terraform workspace {name!r}, "
                    "but ftm works in the workspace 'default' alone",
                    f"Move them in {self.folder}: `TF_WORKSPACE={name} terraform state pull > "
                    "stack.tfstate`, `TF_WORKSPACE=default terraform state push stack.tfstate`, "
                    f"`TF_WORKSPACE=default terraform workspace delete -force {name}`.",
                )

    def _terraform(self, variables: Mapping[str, str] | None = None) -> Any:
        # Loaded on use: a start of `ftm` must not wait for it.
        from ftm_cli.operations.terraform_process import CleanTerraform

        return CleanTerraform(self.folder, variables)

    def _run(
        self, command: str, *arguments: str, accepted: tuple[int, ...] = (0,), **options: Any
    ) -> tuple[int, str]:
        """Run one command to its end; raises TerraformError with Terraform's own words."""
        plain = command in ("state pull", "workspace list")
        quiet: dict[str, Any] = {} if plain else {"no_color": _flag()}
        if command in ("init", "plan"):
            quiet["input"] = False
        code, output, errors = self._terraform().cmd(command, *arguments, **quiet, **options)
        if code not in accepted:
            where = f"The command `terraform {command}` of the module {self.name}"
            raise _failure(where, _plain(errors or output) or f"it ended with code {code}")
        return code, output


def _holds_managed(state: str) -> bool:
    """Whether a state in Terraform's JSON form holds anything that a module made."""
    resources = json.loads(state)["resources"] if state.strip() else []
    return any(resource["mode"] == "managed" for resource in resources)


def _index(instance: Mapping[str, Any]) -> str:
    """The part of an address that distinguishes the instances of one resource."""
    key = instance.get("index_key")
    return "" if key is None else f"[{json.dumps(key)}]"


def _flag() -> Any:
    """An option without a value, as python-terraform wants it."""
    from python_terraform import IsFlagged

    return IsFlagged


def _counted(plan: Mapping[str, Any]) -> tuple[Counts, tuple[str, ...]]:
    """Counts and changed addresses of a plan in Terraform's JSON form; data reads do not count."""
    add = change = destroy = 0
    addresses = []
    for resource in plan.get("resource_changes", []):
        actions = resource["change"]["actions"]
        add += "create" in actions
        change += "update" in actions
        destroy += "delete" in actions
        if {"create", "update", "delete"} & set(actions):
            addresses.append(resource["address"])
    return Counts(add, change, destroy), tuple(addresses)


def _message(line: str) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError:
        # A provider that dies writes plain text; it belongs to the reason.
        return {"@level": "error", "@message": line.strip()} if line.strip() else {}
    return parsed if isinstance(parsed, dict) else {}


def _problem(message: Mapping[str, Any]) -> str:
    diagnostic = message.get("diagnostic") or {}
    parts = [diagnostic.get("summary") or message.get("@message", ""), diagnostic.get("detail", "")]
    address = diagnostic.get("address")
    return (f"{address}: " if address else "") + " ".join(part for part in parts if part).strip()


def _plain(text: str) -> str:
    """Terraform's error box as one line of text."""
    lines = (line.strip("╷│╵ \t") for line in text.splitlines())
    return " ".join(line for line in lines if line)


def _failure(where: str, cause: str) -> TerraformError:
    lowered = cause.lower()
    cause = f"failed: {cause}"
    if _OTHER_PLATFORM in " ".join(lowered.split()):
        return TerraformError(
            where,
            cause,
            "The lock file knows the provider for Linux on x86-64 alone. For this machine, run "
            "`terraform providers lock -platform=linux_amd64 -platform=SYSTEM_CPU` in the module's "
            "folder.",
        )
    if any(sign in lowered for sign in _LOGGED_OUT):
        return TerraformError(where, cause, "Log in again, then repeat the command: it resumes.")
    if any(sign in lowered for sign in _BUSY):
        return TerraformRetryableError(where, cause, "Wait a minute and repeat the command.")
    return TerraformError(
        where, cause, "Correct the cause and repeat the command: what was made stays and is kept."
    )
