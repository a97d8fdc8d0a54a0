"""Exports, ingest and diagnosis beside a run: side files, full disks, leases, one state."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import psutil
import pytest

from ftm_cli.operations.local_diagnosis import diagnose_here
from ftm_cli.results.runs import Finding
from ftm_core.contracts import keys
from ftm_core.contracts.errors import InputError, RunRefusedError, StorageError
from ftm_core.contracts.events import ignore
from ftm_core.contracts.records import RunIdentity, from_json, to_json, utc_now
from ftm_core.contracts.settings import resolve
from ftm_core.data.lease import refuse_if_running, this_process
from ftm_core.themes.export import export_quarter
from tests.fakes.small_disk import mounted
from tests.fakes.small_quarter import SmallQuarter
from tests.integration.faults.conftest import Ftm

WRITER = """
import duckdb, os, sys
database = duckdb.connect(sys.argv[1])
database.execute("PRAGMA disable_checkpoint_on_shutdown")
database.execute("CREATE TABLE own AS SELECT 1 AS x")
os._exit(9)
"""


def export(quarter: SmallQuarter, folder: Path) -> Path:
    export_quarter(quarter.storage, quarter.quarter, "duckdb", folder, ignore)
    return folder / "ftm_2023Q1.duckdb"


def test_export_replaces_the_log_of_changes_too(
    finished_quarter: SmallQuarter, tmp_path: Path
) -> None:
    """Class: side files of a replaced file. A writer of the earlier export was killed.

    Its .wal stays, and DuckDB would apply it to the new database, which could not be opened.
    Further members: CSV after CSV leaves no other file, and a reader that has the earlier
    database open continues to read it while a new one takes its place.
    """
    path = export(finished_quarter, tmp_path)
    ended = subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False)
    assert ended.returncode == 9
    assert path.with_name(f"{path.name}.wal").exists()
    export(finished_quarter, tmp_path)
    assert not path.with_name(f"{path.name}.wal").exists()
    with duckdb.connect(str(path), read_only=True) as reader:
        assert ("own",) not in reader.execute("SHOW TABLES").fetchall()
        (before,) = reader.execute("SELECT count(*) FROM themes").fetchone() or (None,)
        export(finished_quarter, tmp_path)
        assert reader.execute("SELECT count(*) FROM themes").fetchone() == (before,)
    for _ in range(2):
        export_quarter(
            finished_quarter.storage, finished_quarter.quarter, "csv", tmp_path / "csv", ignore
        )
    assert {file.suffix for file in (tmp_path / "csv").iterdir()} == {".csv"}


@pytest.mark.parametrize("kind", ["duckdb", "csv", "parquet", "jsonl"])
def test_export_to_a_full_disk_says_so(
    finished_quarter: SmallQuarter, tmp_path: Path, kind: str
) -> None:
    """Class: library errors that are no OSError. Each format names the full disk."""
    with mounted(tmp_path / "disk", "8k") as folder:
        with pytest.raises(StorageError, match="disk is full"):
            export_quarter(finished_quarter.storage, finished_quarter.quarter, kind, folder, ignore)
        assert not list(folder.glob(".ftm-*"))


def test_export_folder_that_cannot_be_made_is_named(finished_quarter: SmallQuarter) -> None:
    """Class: error numbers that share a message. /proc answers "no such file" to a new folder.

    It was shown as a missing result, "run the step that makes it first", with exit code 1.
    """
    with pytest.raises(InputError, match="The folder /proc/x cannot be made"):
        export(finished_quarter, Path("/proc/x"))


def leased(quarter: SmallQuarter, pid: int) -> None:
    """Write a lease of a process of this machine into the quarter's identity."""
    key = keys.run_identity(quarter.quarter)
    identity = from_json(RunIdentity, quarter.storage.read(key), where=key)
    owner = dataclasses.replace(
        this_process("2023Q1-20230601-120000"),
        pid=pid,
        process_started=psutil.Process(pid).create_time(),
        heartbeat=utc_now(),
    )
    quarter.storage.write(key, to_json(dataclasses.replace(identity, owner=owner, finished=None)))


def test_ingest_replace_under_a_run_is_refused(small_quarter: SmallQuarter, ftm: Ftm) -> None:
    """Class: commands that ignore the quarter's lease. The transcripts stay as they are.

    Further members: WRDS's --replace goes through the same check, and a dead owner is no reason.
    """
    data = small_quarter.storage.uri
    ingest = ("ingest", "sample", "--quarter", "2023Q1", "--data", data, "--replace")
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        leased(small_quarter, sleeper.pid)
        manifest = small_quarter.storage.read(keys.transcripts_manifest(small_quarter.quarter))
        refused = ftm(*ingest)
        assert refused.returncode == 2, refused.stderr
        assert str(sleeper.pid) in refused.stderr
        key = keys.transcripts_manifest(small_quarter.quarter)
        assert small_quarter.storage.read(key) == manifest
        with pytest.raises(RunRefusedError):
            refuse_if_running(small_quarter.storage, small_quarter.quarter)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert ftm(*ingest).returncode == 0


def test_run_state_is_the_same_everywhere(small_quarter: SmallQuarter, ftm: Ftm) -> None:
    """Class: one rule written twice. `runs`, `monitor` and `doctor` agree on a run.

    While its process lives, after it was killed, and (further members) as a zombie and when its
    pid was given to another process.
    """
    data = small_quarter.storage.uri

    def states() -> tuple[str, str]:
        runs = json.loads(ftm("runs", "--target", "local", "--data", data, "--json").stdout)
        look = ftm("monitor", "2023Q1", "--target", "local", "--data", data, "--json")
        return runs["runs"][0]["state"], json.loads(look.stdout)["runs"][0]["state"]

    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    leased(small_quarter, sleeper.pid)
    try:
        assert states() == ("RUNNING", "RUNNING")
        os.kill(sleeper.pid, 9)
        while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert states() == ("UNFINISHED", "UNFINISHED")
    finally:
        sleeper.kill()
        sleeper.wait()
    doctor = ftm("doctor", "--target", "local", "--data", data)
    assert "no longer exists" in doctor.stdout
    # Its number belongs to a process that began at another time.
    leased(small_quarter, os.getpid())
    key = keys.run_identity(small_quarter.quarter)
    text = small_quarter.storage.read(key).decode()
    began = psutil.Process().create_time()
    small_quarter.storage.write(key, text.replace(str(began), str(began - 900)).encode())
    assert states() == ("UNFINISHED", "UNFINISHED")


def run_finding(quarter: SmallQuarter) -> Finding:
    """What the doctor says of the run itself."""
    found = diagnose_here(resolve(environment={}), quarter.storage, quarter.quarter)
    return next(one for one in found if one.about.startswith("run "))


def test_doctor_names_a_suspended_run(small_quarter: SmallQuarter) -> None:
    """Class: alive taken for at work. A stopped process exists, and its run does not move."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        leased(small_quarter, sleeper.pid)
        assert run_finding(small_quarter).level == "ok"
        sleeper.send_signal(signal.SIGSTOP)
        while psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        found = run_finding(small_quarter)
        assert found.level == "problem"
        assert found.what.startswith("The run has made no progress since 20")
        assert "suspended" in found.evidence[-1]
        assert f"kill -CONT {sleeper.pid}" in found.next_step
        sleeper.send_signal(signal.SIGCONT)
        while psutil.Process(sleeper.pid).status() == psutil.STATUS_STOPPED:
            time.sleep(0.01)
        assert run_finding(small_quarter).level == "ok"
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize(
    ("renewed", "saved", "cause"),
    [
        (30, 60, None),
        (30, 3600, "has saved nothing for 1 h"),
        (400, 60, "has not renewed the lease for 7 min"),
    ],
)
def test_doctor_names_a_run_without_progress(
    small_quarter: SmallQuarter, renewed: int, saved: int, cause: str | None
) -> None:
    """A run in another container, which a process number does not show, by what it wrote last."""
    key = keys.run_identity(small_quarter.quarter)
    identity = from_json(RunIdentity, small_quarter.storage.read(key), where=key)
    now = dt.datetime.now(dt.UTC).replace(microsecond=500_000)
    owner = dataclasses.replace(
        this_process("2023Q1-20230601-120000"),
        process_started=now.timestamp() - 7200,
        heartbeat=(now - dt.timedelta(seconds=renewed)).isoformat(),
        process_namespace="another container",
    )
    small_quarter.storage.write(
        key, to_json(dataclasses.replace(identity, owner=owner, finished=None))
    )
    root = Path(small_quarter.storage.uri)
    for path in root.rglob("*"):
        os.utime(path, (now.timestamp() - saved,) * 2)
    found = run_finding(small_quarter)
    assert found.level == ("problem" if cause else "ok")
    if cause:
        assert cause in found.evidence[-1]
        assert f"{now - dt.timedelta(seconds=saved):%H:%M:%S}" in found.what
        assert f"kill {os.getpid()}" in found.next_step


def findings(quarter: SmallQuarter, variables: dict[str, str]) -> dict[str, list[str]]:
    """Levels of doctor's findings about settings, under this environment."""
    found: dict[str, list[str]] = {}
    resolved = resolve(environment=variables)
    for finding in diagnose_here(resolved, quarter.storage, quarter.quarter):
        found.setdefault(finding.about, []).append(finding.level)
        if finding.about == "settings":
            found.setdefault("evidence", []).extend(finding.evidence)
    return found


def test_doctor_run_with_flags_is_no_problem(small_quarter: SmallQuarter) -> None:
    """Class: diagnosis by present settings instead of recorded ones.

    A run was given another model by a flag: a note, no problem. Further members: a variable that
    is set now and differs is a problem, and so is one of two settings that differ.
    """
    key = keys.run_identity(small_quarter.quarter)
    identity = from_json(RunIdentity, small_quarter.storage.read(key), where=key)
    resolved = resolve(environment={})
    inputs = {**identity.inputs, "settings": resolved.settings.row_settings()}
    from ftm_core.row_code import row_code_version

    inputs["code_version"] = row_code_version()
    inputs["settings"]["llm"]["model_name"] = "another"
    small_quarter.storage.write(key, to_json(dataclasses.replace(identity, inputs=inputs)))
    plain = findings(small_quarter, {})
    assert plain["settings"] == ["note"]
    assert plain["evidence"] == ["llm.model_name = 'another'"]
    assert findings(small_quarter, {"LLM_MODEL_NAME": "a third"})["settings"] == ["problem"]
    both = findings(small_quarter, {"LLM_SUMMARY_MAX_TOKENS": "70"})
    assert both["settings"] == ["problem", "note"]


def test_names_of_other_bytes_are_refused(
    finished_quarter: SmallQuarter, ftm: Ftm, tmp_path: Path
) -> None:
    """Class (public report): names that are no UTF-8, and an encoding that lacks a letter.

    Arrow cannot open such a folder: it is refused by name. JSON stays valid in ASCII.
    """
    odd = tmp_path / os.fsdecode(b"d\xff")
    data = finished_quarter.storage.uri
    for variables in ({}, {"PYTHONIOENCODING": "ascii"}):
        for arguments in (
            ("report", "--data", str(odd)),
            ("export", "--format", "csv", "--data", data, "--output", str(odd)),
        ):
            ended = ftm(*arguments, variables=variables)
            assert ended.returncode == 2, ended.stderr
            assert "not valid UTF-8" in ended.stderr
        accents = tmp_path / "é"
        ended = ftm("failures", "--data", data, "--json", variables=variables)
        assert json.loads(ended.stdout)["quarter"] == "2023Q1"
        reported = ftm("export", "--format", "csv", "--json", "--data", data,
                   "--output", str(accents), variables=variables)  # fmt: skip
        assert reported.returncode == 0, reported.stderr
        paths = [table["path"] for table in json.loads(reported.stdout)["tables"]]
        assert all(path.startswith(f"{accents}/") for path in paths)


def test_environment_of_another_profile_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class (public report): AWS variables of the operator's other projects.

    Keys and AWS_PROFILE of the shell never replace the pinned profile's credentials.
    """
    from ftm_cli.operations.aws.session import _boto_session, _frozen

    (tmp_path / "config").write_text(
        "[profile p]\naws_access_key_id = PINNED\naws_secret_access_key = x\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name, value in (
        ("AWS_PROFILE", "gone"),
        ("AWS_DEFAULT_PROFILE", "gone"),
        ("AWS_ACCESS_KEY_ID", "SHELL"),
        ("AWS_SECRET_ACCESS_KEY", "y"),
        ("AWS_SESSION_TOKEN", "z"),
    ):
        monkeypatch.setenv(name, value)
    assert _frozen(_boto_session("p", "us-west-2"), "p") == ("PINNED", None)


def test_few_open_files_are_enough(finished_quarter: SmallQuarter, ftm: Ftm) -> None:
    """Class (public report): `ulimit -n` of 256, as on macOS: reading commands stay below it."""
    data = finished_quarter.storage.uri
    for arguments in (("evaluate",), ("quality",), ("export", "--format", "duckdb")):
        usual = ftm(*arguments, "--data", data)
        ended = ftm(*arguments, "--data", data, prefix=("prlimit", "--nofile=64"))
        assert ended.returncode == usual.returncode, ended.stderr
        assert "Too many open files" not in ended.stderr
