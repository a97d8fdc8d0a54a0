"""Entry point of the containers: `python -m ftm_core.worker plan|map|reduce`, set by environment.

QUARTER, S3_BUCKET (a bucket, or any data URI) and RUN_NAME name the work, BATCH_ID the batch of a
map job; every setting of contracts/settings.py is read from its own variable. SPOT_METADATA_URL is
where a Spot instance's notice is polled, which saves and stops like SIGTERM. Ends with the exit
codes of contracts/errors.py, which the Batch retry strategy and the state machine rely on.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftm_core.contracts.errors import ExitCode, FtmError, InputError
from ftm_core.contracts.events import Event, Note, StageFinished, StageStarted
from ftm_core.contracts.quarters import Quarter
from ftm_core.contracts.settings import resolve
from ftm_core.instruction_set import use_one_instruction_set
from ftm_core.spot import SpotNotice
from ftm_core.stopping import StopSignals

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from ftm_core.storage import Storage

_log = logging.getLogger("ftm.worker")
STEPS = ("plan", "map", "reduce")


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run one step and return its exit code; the last log line says what happened."""
    use_one_instruction_set()
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # One line a request would bury everything else; the server's own log has them.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        if len(arguments) != 1 or arguments[0] not in STEPS:
            raise InputError(
                "The command `python -m ftm_core.worker`",
                f"takes one of {', '.join(STEPS)}",
                "Name the step to run.",
            )
        with (
            StopSignals(_to_log) as signals,
            SpotNotice.from_environment(environment, _to_log),
        ):
            _step(arguments[0], environment, signals)
    except FtmError as error:
        if environment.get("FTM_DEBUG"):
            traceback.print_exc()
        _log.error("ERROR %s", error)
        return int(error.exit_code)
    except Exception:  # noqa: BLE001 - the exit code keeps Batch from retrying; the log has it all
        _log.exception("ERROR unexpected")
        return int(ExitCode.UNEXPECTED)
    return int(ExitCode.DONE)


def _step(step: str, environment: Mapping[str, str], signals: StopSignals) -> None:
    from ftm_core import pipeline

    request = pipeline.RunRequest(
        storage=open_data(_required(environment, "S3_BUCKET")),
        quarter=Quarter.parse(_required(environment, "QUARTER")),
        settings=resolve(environment=environment).settings,
        run_name=_required(environment, "RUN_NAME"),
        listener=_to_log,
        restart=environment.get("RESTART", "").lower() == "true",
    )
    if step == "plan":
        identity, manifest, batches = pipeline.plan(request)
        _log.info(
            "plan: run %s, %d firms in %d batches", identity.run_id, manifest.n_firms, len(batches)
        )
    elif step == "map":
        batch_id = _required(environment, "BATCH_ID")
        outcome = signals.run(lambda: pipeline.run_one_batch(request, batch_id), request.stop)
        _log.info(
            "map: %s finished, %d of %d firms, %d topics, %d recorded failures",
            outcome.batch_id,
            outcome.n_completed,
            outcome.n_firms,
            outcome.n_topics,
            len(outcome.failures),
        )
    else:
        reduced = signals.run(lambda: pipeline.run_reduce_alone(request), request.stop)
        _log.info("theme-aggregator: %d themes of %d topics", reduced.n_themes, reduced.n_topics)


def open_data(uri: str) -> Storage:
    """Storage for a bucket's bare name, an s3:// URI or a folder."""
    from ftm_core.storage import open_storage

    if "/" not in uri and "://" not in uri:
        uri = f"s3://{uri}"

    def client() -> S3Client:
        from ftm_core.storage.s3 import default_client

        return default_client()

    return open_storage(uri, s3_client=client)


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise InputError(f"The environment variable {name}", "is not set", "Set it for this job.")
    return value


def _to_log(event: Event) -> None:
    if isinstance(event, StageStarted):
        _log.info("%s: started, %s %s", event.stage, event.total, event.unit)
    elif isinstance(event, StageFinished):
        _log.info("%s: finished after %.1f s", event.stage, event.seconds)
    elif isinstance(event, Note):
        _log.log(logging.WARNING if event.level == "warning" else logging.INFO, event.text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
