"""The two kinds of storage, and how another process opens the same one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftm_core.storage import Storage
from ftm_core.storage.local import LocalStorage

if TYPE_CHECKING:
    from tests.fakes.s3_emulator import S3Emulator

REPOSITORY = Path(__file__).resolve().parents[3]

_OPENING = """
import sys
from ftm_core.storage import open_storage
from tests.fakes.s3_emulator import S3Emulator
uri, endpoint = sys.argv[1:3]
store = open_storage(uri, s3_client=S3Emulator(endpoint).client if endpoint else None)
print("ready", flush=True)
sys.stdin.readline()
"""


@dataclass(frozen=True)
class Place:
    """One storage, and the means to open it in other processes."""

    kind: str
    storage: Storage
    endpoint: str
    fill: Callable[[Iterable[str]], None]

    def under(self, folder: str) -> Storage:
        """An empty storage of the same kind, in a folder of this one."""
        if isinstance(self.storage, LocalStorage):
            return LocalStorage(Path(self.storage.uri) / folder)
        from tests.fakes.s3_emulator import S3Emulator

        bucket, _, prefix = self.storage.uri.removeprefix("s3://").partition("/")
        return S3Emulator(self.endpoint).storage(bucket, f"{prefix}/{folder}")

    def processes(self, code: str, count: int) -> list[subprocess.Popen[str]]:
        """Start processes that have ``store`` open, and let them run ``code`` all at once.

        Each gets its number in ``sys.argv[3]``.
        """
        started = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _OPENING + code,
                    self.storage.uri,
                    self.endpoint,
                    str(number),
                ],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(count)
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return started

    def race(self, code: str, count: int) -> Sequence[str]:
        """What each of ``count`` processes printed, having run ``code`` at the same time."""
        printed = []
        for process in self.processes(code, count):
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            printed.append(output.strip())
        return printed


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "local":
        local = LocalStorage(tmp_path / "data")

        def fill(keys: Iterable[str]) -> None:
            # Thousands of writes, each brought to the disk, would take their time.
            for key in keys:
                path = Path(local.describe(key))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

        return Place("local", local, "", fill)
    server: S3Emulator = request.getfixturevalue("s3_server")
    bucket: str = request.getfixturevalue("bucket")

    def fill_bucket(keys: Iterable[str]) -> None:
        server.fill(bucket, (f"some/prefix/{key}" for key in keys))

    return Place("s3", server.storage(bucket, "some/prefix"), server.url, fill_bucket)


@pytest.fixture
def store(place: Place) -> Storage:
    return place.storage
