"""Model files are added, fetched from a hub at a fixed revision, listed and removed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gguf_file import gguf_bytes

REPOSITORY = Path(__file__).resolve().parents[3]
FIRST, SECOND = "a" * 40, "b" * 40
PATH = "some/models"
REFERENCE = f"hf:{PATH}/tiny-q4.gguf"


@dataclass
class Hub:
    """A hub with one repository whose newest revision can change, and what was asked of it."""

    url: str = ""
    newest: str = FIRST
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub(files={FIRST: gguf_bytes(), SECOND: gguf_bytes(architecture="qwen2")})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            state.asked.append(self.path)
            revision = self.path.split("/resolve/")[-1].split("/")[0]
            commit = state.newest if revision == "main" else revision
            content = state.files.get(commit)
            if not self.path.startswith(f"/{PATH}/resolve/") or content is None:
                self.send_response(404)
                missing = "RevisionNotFound" if PATH in self.path else "RepoNotFound"
                self.send_header("X-Error-Code", missing)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.end_headers()
            if with_body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


@dataclass
class Machine:
    """Commands on a machine with a models folder of its own."""

    folder: Path
    hub_url: str

    def ftm(self, *arguments: str, code: int = 0) -> Any:
        variables = {
            "FTM_MODELS_FOLDER": str(self.folder / "models"),
            "HF_HOME": str(self.folder / "hf"),
            "HF_ENDPOINT": self.hub_url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-m", "ftm_cli", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code == 0 else " ".join(done.stderr.split())


@pytest.fixture
def machine(tmp_path: Path, hub: Hub) -> Machine:
    return Machine(tmp_path, hub.url)


def test_a_file_is_added_listed_and_removed(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "tiny-q4.gguf"
    file.write_bytes(gguf_bytes())
    added = machine.ftm("models", "add", str(file), "--json")
    assert added["sha256"] == hashlib.sha256(gguf_bytes()).hexdigest()
    [row] = machine.ftm("models", "list", "--json")["models"]
    assert (row["name"], row["license"], row["fits"]) == ("tiny-q4", "mit", True)
    assert row["size_bytes"] == len(gguf_bytes())
    assert row["memory_bytes"] > row["size_bytes"]
    machine.ftm("models", "remove", "tiny-q4", "--json")
    assert machine.ftm("models", "list", "--json") == {"models": []}
    assert file.exists()
    assert not Path(added["path"]).exists()


def test_a_truncated_file_is_not_added(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "half.gguf"
    file.write_bytes(gguf_bytes()[:-1])
    assert "is truncated" in machine.ftm("models", "add", str(file), code=2)


def test_a_hub_file_stays_at_the_revision_first_fetched(machine: Machine, hub: Hub) -> None:
    fetched = machine.ftm("models", "fetch", REFERENCE, "--json")
    assert fetched["sha256"] == hashlib.sha256(hub.files[FIRST]).hexdigest()
    hub.newest = SECOND
    n_asked = len(hub.asked)
    again = machine.ftm("models", "fetch", REFERENCE, "--json")
    assert again == fetched
    assert len(hub.asked) == n_asked
    other = machine.ftm("models", "fetch", f"{REFERENCE}@{SECOND}", "--json")
    assert other["sha256"] == hashlib.sha256(hub.files[SECOND]).hexdigest()


def test_a_hub_file_that_is_not_there_is_named(machine: Machine) -> None:
    assert "does not exist at http://127.0.0.1" in machine.ftm(
        "models", "fetch", "hf:no/such/file.gguf", code=2
    )
    assert "is not of the form" in machine.ftm("models", "fetch", "hf:file.gguf", code=2)


def test_fault_d3_config_shows_the_local_model_that_a_run_uses(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tiny-q4.gguf"
    file.write_bytes(gguf_bytes())
    monkeypatch.setenv("LLM_LOCAL_MODEL", str(file))
    shown = {item["name"]: item for item in machine.ftm("config", "--json")["settings"]}
    assert shown["llm.model_name"]["value"].startswith("tiny-q4@")
    assert shown["llm.model_name"]["origin"].startswith("local model tiny-q4@")
    monkeypatch.delenv("LLM_LOCAL_MODEL")
    shown = {item["name"]: item for item in machine.ftm("config", "--json")["settings"]}
    assert (shown["llm.model_name"]["value"], shown["llm.model_name"]["origin"]) == (
        "SmolLM2-135M-Instruct",
        "bundled model",
    )
    monkeypatch.setenv("LLM_BASE_URL", "http://me:s3cret@127.0.0.1:9/v1")
    shown = {item["name"]: item for item in machine.ftm("config", "--json")["settings"]}
    assert shown["llm.base_url"]["value"] == "http://127.0.0.1:9/v1"
    assert shown["llm.model_name"]["origin"] == "default"


def test_run_takes_a_local_model(machine: Machine, tmp_path: Path) -> None:
    """Its plan names the file's model: an option of `ftm run` that no target took went unseen."""
    file = tmp_path / "tiny-q4.gguf"
    file.write_bytes(gguf_bytes())
    data = str(tmp_path / "data")
    machine.ftm("ingest", "sample", "--quarter", "2023Q1", "--data", data, "--json")
    plan = machine.ftm(
        "run", "--quarter", "2023Q1", "--data", data, "--local-model", str(file),
        "--dry-run", "--json",
    )  # fmt: skip
    assert "tiny-q4@" in json.dumps(plan)


def test_a_server_and_a_file_named_in_one_way_are_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("LLM_LOCAL_MODEL", "some.gguf")
    assert "name both a server" in machine.ftm("config", "--json", code=2)
