"""The emulated AWS as a process of its own, and clients for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGION = "us-west-2"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Emulator:
    """A running emulator: its URL, and the environment that sends AWS clients to it."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a child process, Terraform among them; no profile of this machine."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN")
        }
        return inherited | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "emulated",
            "AWS_SECRET_ACCESS_KEY": "emulated",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def remove_permissions(self, *removed: str) -> list[str]:
        """Take "ROLE ACTION" from roles, and give all others back; what was refused until now."""
        refused: list[str] = self._ask_gate({})["refused"]
        self._ask_gate({"without": list(removed)})
        return refused

    def credentials_of(self, role: str) -> dict[str, str]:
        """Access key and secret with which a client acts as a role."""
        return self._ask_gate({"act_as": role})

    def _ask_gate(self, order: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(order).encode()
        request = urllib.request.Request(f"{self.url}/iam-gate", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="emulated",
            aws_secret_access_key="emulated",
        )


@contextmanager
def running(log: Path, extra_environment: dict[str, str] | None = None) -> Iterator[Emulator]:
    """Start an emulator on a free port, and end it with the block."""
    port = free_port()
    emulator = Emulator(f"http://127.0.0.1:{port}")
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | (extra_environment or {})
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulator", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_up(emulator.url, process, log)
            yield emulator
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the emulator ended: {log.read_text(errors='replace')[-2000:]}")
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=2)
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("the emulator did not answer within three minutes")
