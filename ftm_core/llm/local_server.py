"""The LLM on this machine: llama.cpp serving a GGUF file, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import httpx

from ftm_core.contracts.errors import FtmError
from ftm_core.contracts.extras import require_extra
from ftm_core.contracts.settings import LlmSettings
from ftm_core.cpus import available_cpus
from ftm_core.llm.bundled_model import MODEL_NAME, verify_bundled_model
from ftm_core.llm.local_models import MOST_SLOTS, SLOT_CONTEXT

_START_SECONDS = 120.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.1
_LOG_TAIL = 2000


class LocalServer:
    """Serves a GGUF file, or the bundled model, on 127.0.0.1 while the ``with`` block lasts.

    ``slots`` is how many requests it answers at once; ``threads`` 0 takes every
    core; ``port`` 0 takes a free one, and a restart keeps it. ``served_as`` is the name that the
    model goes by, and ``chat_template`` a Jinja file instead of the model's own. The process ends
    with this one, however this one ends. Raises InputError when the extra ``local`` is not
    installed or the model is not the published one, FtmError with the end of the server's log when
    it does not start.
    """

    def __init__(
        self,
        *,
        model: Path | None = None,
        slots: int = 4,
        threads: int = 0,
        port: int = 0,
        slot_context: int = SLOT_CONTEXT,
        served_as: str = MODEL_NAME,
        chat_template: Path | None = None,
    ) -> None:
        self._model = model
        self._slots = min(slots, MOST_SLOTS)
        self._threads = threads or available_cpus()
        self._port = port
        self._slot_context = slot_context
        self._chat_template = chat_template
        self.model_name = served_as
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def base_url(self) -> str:
        """The API's URL, ending in ``/v1``; only while the server has been started."""
        if self._port == 0:
            raise RuntimeError("the local LLM server has not been started")
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def pid(self) -> int:
        """The server process."""
        if self._process is None:
            raise RuntimeError("the local LLM server is not running")
        return self._process.pid

    def settings(self, llm: LlmSettings) -> LlmSettings:
        """The same settings, pointed at this server and naming the model that it serves."""
        return llm.model_copy(update={"base_url": self.base_url, "model_name": self.model_name})

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and return when it is healthy."""
        require_extra("local", "The local LLM server")
        model = self._model or verify_bundled_model()
        self.stop()
        self._folder = tempfile.TemporaryDirectory(prefix="ftm-llm-")
        address_file = Path(self._folder.name) / "address"
        with self._log_path().open("wb") as log:
            self._process = subprocess.Popen(
                self._command(model, address_file),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Threads that spin while they wait for one another bring the server to a halt
                # when topic models want the same cores: a quarter of the speed, or less.
                env={"OMP_WAIT_POLICY": "passive", **os.environ, **_module_path()},
                # Ctrl-C reaches the whole group: the server must outlive the saving of work. In a
                # session of its own it could not take precedence over the topic models (sched(7),
                # autogroups), which run ahead of it and can wait.
                process_group=0,
            )
        try:
            self._wait_until_healthy(address_file)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server if it runs; its port is kept for the next start."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _command(self, model: Path, address_file: Path) -> list[str]:
        values = {
            "--model": model,
            "--alias": self.model_name,
            "--port": self._port,
            "--slots": self._slots,
            "--slot-context": self._slot_context,
            "--threads": self._threads,
            "--parent": os.getpid(),
            "--address-file": address_file,
        }
        command = [sys.executable, "-P", "-m", "ftm_core.llm.local_server_process"]
        for option, value in values.items():
            command += [option, str(value)]
        if self._chat_template is not None:
            command += ["--chat-template", str(self._chat_template)]
        return command

    def _wait_until_healthy(self, address_file: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise self._not_started(f"ended with code {self._process.returncode}")
            if address_file.exists():
                address = address_file.read_text(encoding="ascii")
                if _healthy(address):
                    self._port = int(address.rpartition(":")[2])
                    return
            time.sleep(_POLL_SECONDS)
        raise self._not_started(f"was not ready within {_START_SECONDS:.0f} s")

    def _not_started(self, what: str) -> FtmError:
        log = self._log_path().read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace").strip()
        return FtmError(
            "The local LLM server",
            f"{what}; its log ends:\n{log}\n",
            "Run the command again, or give another server's URL with --llm-base-url.",
        )

    def _log_path(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "server.log"


def _module_path() -> dict[str, str]:
    """Variables with which a child finds this very ftm, and nothing in the working folder."""
    import ftm_core

    own = str(Path(ftm_core.__file__).parents[1])
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join([own, *given])}


def _healthy(address: str) -> bool:
    try:
        with httpx.Client(trust_env=False, timeout=5.0) as http:
            return http.get(f"{address}/health").status_code == 200
    except httpx.HTTPError:
        return False
