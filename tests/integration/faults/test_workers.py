"""Processes that cannot start: the real cause, exit code 2, no firm blamed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ftm_core.contracts.errors import InputError, RetryableError
from ftm_core.contracts.settings import EmbeddingSettings, Settings
from ftm_core.topics import numba_cache
from ftm_core.topics.workers import ModelWorkers, embed_texts
from tests.fakes.needs import skip_or_fail
from tests.fakes.small_disk import mounted

_ROOT = Path(__file__).parents[3]


async def first_error(settings: Settings) -> Exception:
    """What the first task of a fresh pool raises."""
    async with ModelWorkers(settings, 1) as workers:
        try:
            await workers.call(embed_texts, ["Sales rose."])
        except Exception as error:  # noqa: BLE001 - the test inspects any error
            return error
    raise AssertionError("the worker has started")


def with_model(**changes: Any) -> Settings:
    return Settings().model_copy(update={"embedding": EmbeddingSettings(**changes)})


@pytest.mark.models
@pytest.mark.parametrize(
    ("settings", "variables", "cause"),
    [
        ({"model_name": "/no/such/folder"}, {}, "/no/such/folder"),
        ({"model_name": "some/model"}, {"HF_HUB_OFFLINE": "1"}, "some/model"),
        ({"model_name": "some/model", "precision": "int8"}, {}, "8-bit integers"),
        # Members of the class that no report names.
        ({}, {"NUMBA_CACHE_DIR": "/proc/none"}, "/proc/none"),
    ],
)
async def test_worker_unable_to_start_says_why(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    settings: dict[str, str],
    variables: Mapping[str, str],
    cause: str,
) -> None:
    """Class: set-up faults that first show in a worker. Exit code 2, the cause, no traceback.

    With ProcessPoolExecutor an error in the initializer only breaks the pool, which was taken for
    a kill for want of memory (exit code 75, which AWS Batch retries).
    """
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = await first_error(with_model(**settings))
    assert isinstance(error, InputError), error
    assert cause in str(error)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.models
async def test_worker_full_temporary_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class: set-up faults that first show in a worker: TMPDIR on a disk of 200 kB."""
    with mounted(tmp_path / "tmp", "200k") as folder:
        monkeypatch.setenv("TMPDIR", str(folder))
        error = await first_error(Settings())
    assert isinstance(error, InputError), error
    assert "TMPDIR" in error.hint
    assert str(folder) in str(error)


async def test_worker_damaged_package_is_no_kill(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class: set-up faults that first show in a worker, further member: a package that is broken.

    A module earlier on PYTHONPATH fails as it is imported, as a half-installed package does.
    """
    (tmp_path / "ctranslate2.py").write_text("raise ImportError('libctranslate2.so is missing')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    error = await first_error(Settings())
    assert isinstance(error, InputError), error
    assert "libctranslate2.so is missing" in str(error)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("os.kill(os.getpid(), signal.SIGILL)", InputError),
        ("os._exit(3)", InputError),
        ("os.kill(os.getpid(), signal.SIGKILL)", RetryableError),
    ],
)
async def test_worker_crash_at_start_is_distinguished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, kind: type[Exception]
) -> None:
    """Class: set-up faults that first show in a worker, further members: crashes before any work.

    SIGILL (a library made for a newer CPU) and an exit of its own come again at each retry; a
    SIGKILL, as for want of memory, may not.
    """
    (tmp_path / "ctranslate2.py").write_text(f"import os, signal\n{end}")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    error = await first_error(Settings())
    assert isinstance(error, kind), error


SHADOWS = ("signal.py", "copy.py", "inspect.py", "sitecustomize.py", "numbers.py")


async def test_worker_ignores_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class: module shadowing. Python files in the working folder are never run by a worker.

    Further members of the class: sitecustomize.py, which Python imports by itself, and
    numbers.py, which a researcher may well have.
    """
    for name in SHADOWS:
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n1/0\n")
    monkeypatch.chdir(tmp_path)
    async with ModelWorkers(Settings(), 1) as workers:
        vectors = await workers.call(embed_texts, ["Sales rose."])
    assert len(vectors) == 1
    assert not (tmp_path / "ran").exists()
    assert "PYTHONSAFEPATH" not in os.environ


def test_llm_server_ignores_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class: module shadowing: the bundled LLM's server, and a file named ftm_core.py."""
    from ftm_core.llm.local_server import LocalServer

    for name in (*SHADOWS, "ftm_core.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n1/0\n")
    monkeypatch.chdir(tmp_path)
    with LocalServer(slots=1) as server:
        assert server.pid
    assert not (tmp_path / "ran").exists()


def test_numba_cache_read_only_environment_uses_tmp(tmp_path: Path) -> None:
    """Class: set-up faults that first show in a worker: environment and HOME are read-only.

    In a mount namespace of its own everything is read-only but the temporary folder: numba gets a
    folder there that only this user can write, and compiles with a cache.
    """
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        skip_or_fail("a mount namespace needs root")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    code = (
        "import os; from ftm_core.topics.numba_cache import ensure_numba_cache as e; e()\n"
        "print(os.environ['NUMBA_CACHE_DIR']); import cached; print(cached.twice(4))"
    )
    import umap

    package = Path(umap.__file__).parent
    # A function that numba shall cache beside itself, as those of umap.
    own = tmp_path / "own"
    own.mkdir()
    (own / "cached.py").write_text(
        "from numba import njit\n@njit('i8(i8)', cache=True)\ndef twice(x): return 2 * x\n"
    )
    script = (
        f"mount --bind {package} {package} && mount -o remount,ro,bind {package} && "
        f"mount --bind {own} {own} && mount -o remount,ro,bind {own} && "
        f"mount --bind {Path.home()} {Path.home()} && "
        f"mount -o remount,ro,bind {Path.home()} && "
        f'exec "$0" -B -c "$1"'
    )
    ended = subprocess.run(
        [str(unshare), "-m", "sh", "-c", script, sys.executable, code],
        env={"PATH": os.environ["PATH"], "HOME": str(Path.home()), "TMPDIR": str(scratch),
             "PYTHONPATH": os.pathsep.join([str(own), *(path for path in sys.path if path)])},
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert ended.stdout.splitlines()[-1:] == ["8"], ended.stderr
    folder = Path(ended.stdout.splitlines()[0])
    assert folder.parent == scratch
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_numba_cache_of_another_user_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class: set-up faults, further members: no HOME at all, and a folder others can write."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba_cache, "_is_writable", lambda *_, **__: False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shared = tmp_path / f"ftm-numba-{os.geteuid()}"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    numba_cache.ensure_numba_cache()
    chosen = Path(os.environ.pop("NUMBA_CACHE_DIR"))
    assert chosen != shared
    assert chosen.parent == tmp_path


def test_home_unknown_is_named_or_not_needed(tmp_path: Path) -> None:
    """Class: containers with any uid. Uid 12345 without a passwd entry and without HOME.

    Commands that need no home work; those that do name HOME; no folder named ``~`` is made.
    Further members: a data folder given with ``~``, the folder of models, and numba's cache. The
    process keeps the right to read any file, so that a Python of root's can be used.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        skip_or_fail("changing the user needs root and setpriv")
    folder = tmp_path / "work"
    folder.mkdir()
    folder.chmod(0o777)
    reading = "+dac_read_search"
    as_nobody = [setpriv, "--reuid", "12345", "--regid", "12345", "--clear-groups",
                 "--inh-caps", reading, "--ambient-caps", reading, "--"]  # fmt: skip
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TMPDIR": str(folder),
    }

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*as_nobody, sys.executable, "-B", *arguments], env=environment, cwd=folder,
            check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def ftm(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python("-m", "ftm_cli", *arguments)

    home = python("-c", "import os, pathlib; print(os.geteuid()); pathlib.Path.home()")
    assert home.stdout == "12345\n", home.stderr
    assert "Could not determine home directory" in home.stderr
    for arguments, code in (
        (("config", "--json"), 0),
        (("ingest", "sample", "--quarter", "2023Q1", "--data", "data"), 0),
        (("failures", "--data", "~/x"), 2),
        (("ingest", "wrds", "--quarter", "2023Q1", "--user", "ann"), 2),
        (("models", "list"), 2),
    ):
        ended = ftm(*arguments)
        assert ended.returncode == code, ended.stderr
        assert "bug in ftm" not in ended.stderr
        if code == 2:
            assert "HOME" in ended.stderr, ended.stderr
    cache = python(
        "-c", "import os, ftm_core.topics.numba_cache as n; n._folders_of = lambda _: [];"
        "n.ensure_numba_cache(); print(os.environ['NUMBA_CACHE_DIR'])"
    )  # fmt: skip
    assert cache.stdout == f"{folder}/ftm-numba-12345\n", cache.stderr
    assert not (folder / "~").exists()


def test_cpus_follow_quota_and_affinity(tmp_path: Path) -> None:
    """Class (public report): os.cpu_count() of the host in a container or a Slurm job.

    A quota of two CPUs, in both versions of cgroups, half a CPU, none, and an affinity mask.
    """
    from ftm_core.cpus import available_cpus

    here = len(os.sched_getaffinity(0))
    for text, expected in (
        ("200000 100000", min(here, 2)),
        ("50000 100000", 1),
        ("max 100000", here),
        ("rubbish", here),
    ):
        (tmp_path / "cpu.max").write_text(text)
        assert available_cpus(tmp_path) == expected
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus(tmp_path) == here
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert available_cpus(tmp_path) == 1
    code = "from ftm_core.cpus import available_cpus as a; print(a())"
    bound = subprocess.run(
        ["taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable, "-c", code],
        check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    assert bound.stdout == "1\n"


def test_worker_full_shared_memory_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class (public report): a container's /dev/shm is full or too small for semaphores."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        skip_or_fail("a mount namespace needs root")
    code = (
        "from ftm_core.contracts.settings import Settings\n"
        "from ftm_core.contracts.errors import InputError\n"
        "from ftm_core.topics.workers import ModelWorkers\n"
        "try: ModelWorkers(Settings(), 1)\n"
        "except InputError as error: print(error)\n"
    )
    script = (
        "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/full; "
        'exec "$0" -c "$1"'
    )
    ended = subprocess.run(
        [str(unshare), "-m", "sh", "-c", script, sys.executable, code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "/dev/shm cannot be used" in ended.stdout, ended.stderr


def test_numba_cache_cut_short_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class (public report): cache files that a full disk or a power cut left half written.

    numba ends in EOFError at each of them; whole files stay.
    """
    (tmp_path / "cached.py").write_text(
        "from numba import njit\n@njit('i8(i8)', cache=True)\ndef twice(x): return 2 * x\n"
    )
    code = (
        "from ftm_core.topics.numba_cache import ensure_numba_cache as e; e()\n"
        "import cached; print(cached.twice(4))"
    )
    cache = tmp_path / "cache"

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(cache),
                 "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        )  # fmt: skip

    assert run().stdout == "8\n"
    files = sorted(file for file in cache.rglob("*") if file.suffix in {".nbi", ".nbc"})
    assert len(files) == 2
    before = {file: file.stat().st_mtime_ns for file in files}
    assert run().stdout == "8\n"
    assert {file: file.stat().st_mtime_ns for file in files} == before
    for file in files:
        for keep in (0, file.stat().st_size // 2):
            whole = file.read_bytes()
            file.write_bytes(whole[:keep])
            ended = run()
            assert ended.stdout == "8\n", ended.stderr
            assert file.read_bytes()


_ERROR_AMID_WORK = """
import asyncio, time
from ftm_core.contracts.settings import Settings
from ftm_core.topics.workers import ModelWorkers

def work(embedder, settings, started, text):
    open(started, "w").close()
    time.sleep(600)

async def main(started):
    async with ModelWorkers(Settings(), 1, embeds=False) as workers:
        calls = [asyncio.ensure_future(workers.call(work, started, "x" * 10**6)) for _ in "1234"]
        while not os.path.exists(started):
            await asyncio.sleep(0.05)
        raise SystemExit(calls and 2)

if __name__ == "__main__":
    import os, sys
    asyncio.run(main(sys.argv[1]))
"""


def test_error_ends_a_run_whose_queue_is_full(tmp_path: Path) -> None:
    """Class: runs that never end. Calls larger than a pipe wait in the queue of a busy worker.

    An LLM server with another model ended the map with an error, and Python 3.11.2 then waited for
    ever for the thread that writes to the killed workers.
    """
    script = tmp_path / "run.py"
    script.write_text(_ERROR_AMID_WORK, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, script, tmp_path / "started"],
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        check=False,
        timeout=120,
    )
    assert ended.returncode == 2
