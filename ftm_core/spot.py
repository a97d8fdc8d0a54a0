"""The Spot interruption notice, read from the instance's metadata, as a SIGTERM to this process.

AWS gives the notice two minutes before it takes the instance. Nothing passes it on to a container
of AWS Batch: SIGTERM comes only when the instance shuts down, ten seconds before SIGKILL. A job
that reads the notice itself has the whole time to save.

Source: EC2 user guide, "Spot Instance interruption notices" and "Use IMDSv2".
"""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ftm_core.contracts.events import Listener, Note

# Set by the job definitions to the address of the instance metadata; unset, nothing is polled.
METADATA_VARIABLE = "SPOT_METADATA_URL"
_TOKEN_SECONDS = 21600
_TIMEOUT_SECONDS = 2.0
# The metadata belongs to this host: a proxy of the environment must not be asked for it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SpotMetadata:
    """The instance metadata service, version 2: a session token, then the notice."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._token = ""

    def interruption(self) -> str | None:
        """The time at which the instance goes, or None while no notice is given.

        Raises OSError when the metadata service does not answer.
        """
        self._token = self._token or self._read(
            "PUT",
            "/latest/api/token",
            {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)},
        )
        headers = {"X-aws-ec2-metadata-token": self._token}
        try:
            notice = self._read("GET", "/latest/meta-data/spot/instance-action", headers)
        except urllib.error.HTTPError as error:
            if error.code == 401:
                # The token has expired: the next poll asks for another.
                self._token = ""
                return None
            if error.code == 404:
                return None
            raise
        try:
            return str(json.loads(notice)["time"])
        except (ValueError, KeyError, TypeError):
            return "within two minutes"

    def _read(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        request = urllib.request.Request(self._url + path, method=method, headers=dict(headers))
        with _OPENER.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
        return body.decode("utf-8")


def terminate_this_process() -> None:
    """Send this process the signal that it handles by saving what is finished."""
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class SpotNotice:
    """Polls for the notice while the block lasts, and calls ``on_notice`` once when it comes.

    AWS recommends a poll every five seconds. A metadata service that does not answer is polled
    again, and reported once. ``wait`` is the pause between polls: True ends them.
    """

    url: str
    listener: Listener
    on_notice: Callable[[], None] = terminate_this_process
    poll_seconds: float = 5.0
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], listener: Listener) -> SpotNotice:
        """The notice of the host that METADATA_VARIABLE names; nothing is polled without it."""
        return cls(environment.get(METADATA_VARIABLE, ""), listener)

    def __enter__(self) -> Self:
        if self.url:
            self._thread = threading.Thread(target=self._poll, name="spot-notice", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()

    def _poll(self) -> None:
        metadata, is_silent = SpotMetadata(self.url), False
        while True:
            try:
                time = metadata.interruption()
            except OSError as error:
                time = None
                if not is_silent:
                    self.listener(Note(f"Instance metadata does not answer: {error}", "warning"))
                is_silent = True
            if self._ended.is_set():
                return
            if time is not None:
                self.listener(Note(f"Spot takes this instance back at {time}", "warning"))
                self.on_notice()
                return
            if self.wait(self._ended, self.poll_seconds):
                return
