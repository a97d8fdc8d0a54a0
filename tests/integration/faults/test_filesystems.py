"""Data folders on file systems that lack what ext4 has: real mounts, and system calls that fail."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ftm_core.contracts.errors import InputError, ObjectMissingError, StorageError
from ftm_core.storage import file_lock, processes
from ftm_core.storage.files import check_output_file, check_output_folder
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.probe import probe
from ftm_core.storage.processes import process_view
from tests.fakes.needs import skip_or_fail
from tests.fakes.small_disk import mounted
from tests.integration.faults.conftest import Ftm, environment

# All that a run asks of a folder, twelve racing processes included.
STORY = """
import multiprocessing, sys
from pathlib import Path
from ftm_core.storage.local import LocalStorage
from ftm_core.storage.probe import probe

def race(folder, number):
    store = LocalStorage(Path(folder))
    won = store.create("progress/created", str(number).encode())
    for _ in range(5):
        while True:
            data, version = store.read_versioned("progress/counter")
            if store.replace("progress/counter", str(int(data) + 1).encode(), version=version):
                break
    return won

if __name__ == "__main__":
    folder = sys.argv[1]
    store = LocalStorage(Path(folder))
    probe(store)
    store.write("progress/counter", b"0")
    with store.open_output("a/quarter=2023Q1/part.parquet") as file:
        file.write(b"x" * 100_000)
    with store.open_input("a/quarter=2023Q1/part.parquet") as source:
        assert source.read() == b"x" * 100_000
    store.write("a/quarter=2023Q1/part.parquet", b"again")
    assert list(store.list("a/")) == ["a/quarter=2023Q1/part.parquet"]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        won = pool.starmap(race, [(folder, n) for n in range(4)])
    assert sum(won) == 1, won
    assert store.read("progress/counter") == b"20", store.read("progress/counter")
    store.delete("a/quarter=2023Q1/part.parquet")
    assert list(store.list("a/")) == []
    print("well")
"""

# Fails one system call, as file systems without it do. Each is named by FTM_FAIL.
PRELOAD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
static int fails(const char *name) {
    const char *wanted = getenv("FTM_FAIL");
    return wanted && strncmp(wanted, name, strlen(name)) == 0 && wanted[strlen(name)] == '=';
}
static int code(void) { return atoi(strchr(getenv("FTM_FAIL"), '=') + 1); }
int flock(int fd, int operation) {
    if (fails("flock")) { errno = code(); return -1; }
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return real(fd, operation);
}
int link(const char *from, const char *to) {
    if (fails("link")) { errno = code(); return -1; }
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "link");
    return real(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    if (fails("link")) { errno = code(); return -1; }
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    return real(a, from, b, to, flags);
}
int rename(const char *from, const char *to) {
    if (fails("rename")) { errno = code(); return -1; }
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    return real(from, to);
}
int fchmod(int fd, mode_t mode) {
    if (fails("fchmod")) { errno = code(); return -1; }
    int (*real)(int, mode_t) = dlsym(RTLD_NEXT, "fchmod");
    return real(fd, mode);
}
int fsync(int fd) {
    struct stat about;
    int is_folder = fstat(fd, &about) == 0 && S_ISDIR(about.st_mode);
    if (fails("fsyncdir") && is_folder) { errno = code(); return -1; }
    if (fails("fsync") && !is_folder) { errno = code(); return -1; }
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return real(fd);
}
void *mmap(void *a, size_t length, int protection, int flags, int fd, off_t offset) {
    int reads_a_file = fd >= 0 && !(protection & (PROT_WRITE | PROT_EXEC));
    if (fails("mmap") && reads_a_file) { errno = code(); return MAP_FAILED; }
    void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
    return real(a, length, protection, flags, fd, offset);
}
void *mmap64(void *a, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap(a, length, protection, flags, fd, offset);
}
"""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes system calls fail."""
    compiler = shutil.which("cc")
    if compiler is None:
        skip_or_fail("making system calls fail needs a C compiler")
    folder = tmp_path_factory.mktemp("preload")
    (folder / "failing.c").write_text(PRELOAD)
    library = folder / "failing.so"
    subprocess.run(
        [str(compiler), "-shared", "-fPIC", "-o", str(library), str(folder / "failing.c"), "-ldl"],
        check=True,
    )
    return library


def story(folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run STORY over ``folder`` in a process of its own."""
    script = folder.parent / f"{folder.name}-story.py"
    script.write_text(STORY)
    return subprocess.run(
        [sys.executable, str(script), str(folder)], env=environment(variables),
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("flock", errno.ENOSYS),
        ("flock", errno.ENOLCK),
        ("link", errno.EPERM),
        ("fchmod", errno.EPERM),
        ("fsyncdir", errno.EINVAL),
        # Members of the class that no report names.
        ("link", errno.EOPNOTSUPP),
        ("fsync", errno.EINVAL),
        ("mmap", errno.ENODEV),
    ],
)
def test_folder_without_a_system_call_works(
    failing: Path, tmp_path: Path, call: str, number: int
) -> None:
    """Class: optional operations of file systems (Lustre, NFS nolock, SMB, exFAT, FUSE).

    With each one failing as such file systems answer, four processes race for creating and
    replacing: one creates, and no replacement is lost.
    """
    folder = tmp_path / "data"
    ended = story(folder, {"LD_PRELOAD": str(failing), "FTM_FAIL": f"{call}={number}"})
    assert ended.stdout == "well\n", ended.stderr


@pytest.mark.parametrize(
    ("call", "number", "said"),
    [
        ("fsync", errno.EIO, "Input/output error"),
        ("fsyncdir", errno.EIO, "Input/output error"),
        ("fchmod", errno.EIO, "Input/output error"),
        ("fsync", errno.ESTALE, "Mount the folder again"),
        ("rename", errno.ESTALE, "Mount the folder again"),
    ],
)
def test_folder_with_a_disk_error_is_no_missing_call(
    failing: Path, tmp_path: Path, call: str, number: int, said: str
) -> None:
    """Class: optional operations, the other side: a disk or a file server that fails is named."""
    variables = {"LD_PRELOAD": str(failing), "FTM_FAIL": f"{call}={number}"}
    ended = story(tmp_path / "data", variables)
    assert said in ended.stderr
    assert ended.stdout == ""


@contextlib.contextmanager
def exfat(folder: Path) -> Iterator[Path]:
    """An exFAT file system in a file, mounted through FUSE; skips where that is not possible."""
    for tool in ("mkfs.exfat", "mount.exfat-fuse", "losetup"):
        if shutil.which(tool) is None:
            skip_or_fail(f"needs {tool}")
    disk = folder.parent / "disk.img"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.exfat", str(disk)], check=True, capture_output=True)
    folder.mkdir()
    loop = subprocess.run(
        ["losetup", "--find", "--show", str(disk)], check=False, capture_output=True, text=True
    )
    device = loop.stdout.strip()
    if loop.returncode:
        skip_or_fail(f"a loop device is needed: {loop.stderr}")
    try:
        mount = ["mount.exfat-fuse", device, str(folder)]
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
        if done.returncode:
            skip_or_fail(f"FUSE is needed: {done.stderr}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=False)


def test_folder_on_exfat_works(tmp_path: Path) -> None:
    """Class: optional operations, real: exFAT has no links and no owners, and folds case."""
    with exfat(tmp_path / "exfat") as folder:
        ended = story(folder / "data", {})
        assert ended.stdout == "well\n", ended.stderr
        (folder / "a").write_text("x")
        with pytest.raises(OSError, match=r"not permitted|not implemented|not supported"):
            os.link(folder / "a", folder / "b")


class Watched(LocalStorage):
    """Says when a file that it wanted to read was missing."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.missed = threading.Event()

    def read(self, key: str) -> bytes:
        try:
            return super().read(key)
        except ObjectMissingError:
            self.missed.set()
            raise


def test_file_removed_while_it_is_replaced_is_waited_for(tmp_path: Path) -> None:
    """Class: optional operations, further member: a rename that removes the old file first.

    exFAT through FUSE does that, so a reader found no counter while another process replaced it.
    """
    store = Watched(tmp_path)
    store.write("counter", b"0")
    assert store.replace("counter", b"1", version=store.read_versioned("counter")[1])
    (guard,) = tmp_path.glob(".*counter.lock")
    with ThreadPoolExecutor(1) as threads:
        with file_lock.file_lock(guard, "The counter"):
            (tmp_path / "counter").unlink()
            reading = threads.submit(store.read_versioned, "counter")
            assert store.missed.wait(30)
            (tmp_path / "counter").write_bytes(b"2")
        assert reading.result(60)[0] == b"2"
    store.delete("counter")
    with pytest.raises(ObjectMissingError):
        store.read_versioned("counter")


@contextlib.contextmanager
def sftp(remote: Path, folder: Path) -> Iterator[Path]:
    """``remote`` mounted by a client of its own, as on one machine of several."""
    server = Path("/usr/lib/openssh/sftp-server")
    if shutil.which("sshfs") is None or not server.exists():
        skip_or_fail("needs sshfs and openssh-sftp-server")
    folder.mkdir()
    ours, theirs = socket.socketpair()
    mount = ["sshfs", f":{remote}", str(folder), "-o", "passive", "-f"]
    with ours, theirs:
        processes = [
            subprocess.Popen([str(server)], stdin=ours, stdout=ours),
            subprocess.Popen(mount, stdin=theirs, stdout=theirs),
        ]
    try:
        deadline = time.monotonic() + 20
        while not folder.is_mount():
            assert time.monotonic() < deadline, "sshfs has not mounted"
            time.sleep(0.02)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        for process in processes:
            process.wait(20)


MACHINE = """
import sys, time
from pathlib import Path
from ftm_core.storage.local import LocalStorage
store = LocalStorage(Path(sys.argv[1]))
won = store.create("progress/created", sys.argv[2].encode())
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    while True:
        data, version = store.read_versioned("progress/counter")
        if store.replace("progress/counter", str(int(data) + 1).encode(), version=version):
            break
print(int(won))
"""


def test_folder_of_two_machines_loses_no_update(tmp_path: Path) -> None:
    """Class: optional operations, real: flock that succeeds and excludes no other machine.

    Two SFTP mounts of one folder, as NFS with local_lock behaves too: under flock alone, 44 to 57
    of 80 updates were kept, so two runs could own one quarter.
    """
    store = LocalStorage(tmp_path / "remote")
    store.write("progress/counter", b"0")
    remote = tmp_path / "remote"
    with sftp(remote, tmp_path / "one") as one, sftp(remote, tmp_path / "two") as two:
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", MACHINE, str(folder), str(number)], env=environment(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for number, folder in enumerate((one, two, one, two))
        ]  # fmt: skip
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        printed_codes = [racer.communicate(timeout=120)[0].strip() for racer in racers]
    assert sorted(printed_codes) == ["0", "0", "0", "1"]
    assert store.read("progress/counter") == b"40"


def test_folder_on_tmpfs_and_overlay_works(tmp_path: Path) -> None:
    """Class: optional operations, real: tmpfs, and an overlay whose lower layer has the quarter."""
    with mounted(tmp_path / "tmpfs", "64m") as memory:
        assert story(memory / "data", {}).stdout == "well\n"
        for name in ("lower", "upper", "work", "merged"):
            (memory / name).mkdir()
        LocalStorage(memory / "lower").write("progress/counter", b"17")
        options = ",".join(
            f"{key}dir={memory / name}"
            for key, name in (("lower", "lower"), ("upper", "upper"), ("work", "work"))
        )
        mount = ["mount", "-t", "overlay", "-o", options, "none", str(memory / "merged")]
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
        if done.returncode:
            skip_or_fail(f"an overlay cannot be mounted here: {done.stderr}")
        try:
            ended = story(memory / "merged", {})
            assert ended.stdout == "well\n", ended.stderr
        finally:
            subprocess.run(["umount", "--lazy", str(memory / "merged")], check=True)


def test_folder_read_only_is_refused_by_name(tmp_path: Path, ftm: Ftm) -> None:
    """Class: optional operations: where there is no fallback, the first step refuses clearly."""
    with mounted(tmp_path / "ro", "1m") as folder:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        for arguments, code in (
            (("ingest", "sample", "--quarter", "2023Q1"), 2),
            (("validate", "--target", "local"), 3),
        ):
            ended = ftm(*arguments, "--data", str(folder))
            assert ended.returncode == code
            assert "read-only" in ended.stdout + ended.stderr
            assert str(folder) in ended.stdout + ended.stderr
        with pytest.raises(InputError, match="read-only"):
            probe(LocalStorage(folder))


def test_lock_file_of_a_killed_process_is_taken_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class: optional operations, further member: a lock file whose owner was killed.

    By the file system's own clock it is old, so the next process removes it; a young one is
    waited for, and then named.
    """

    def no_flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_lock.fcntl, "flock", no_flock)
    store = LocalStorage(tmp_path)
    store.write("progress/run.json", b"1")
    left = tmp_path / "progress" / ".ftm-run.json.locked"
    left.write_text("host 1 token")
    os.utime(left, (time.time() - 600, time.time() - 600))
    version = store.read_versioned("progress/run.json")[1]
    assert store.replace("progress/run.json", b"2", version=version)
    assert not left.exists()

    left.write_text("host 1 token")
    monkeypatch.setattr(file_lock, "_WAIT_SECONDS", 0.2)
    version = store.read_versioned("progress/run.json")[1]
    with pytest.raises(StorageError, match="stayed held"):
        store.replace("progress/run.json", b"3", version=version)
    assert left.read_text() == "host 1 token"
    assert store.read("progress/run.json") == b"2"


def test_lock_file_of_a_process_killed_here_ends_at_once(tmp_path: Path) -> None:
    """Class: optional operations, further member: the owner was killed on this very machine.

    A lock file of a process that lives, or of another machine, is waited for.
    """
    store = LocalStorage(tmp_path)
    store.write("progress/run.json", b"1")
    left = tmp_path / "progress" / ".ftm-run.json.locked"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left.write_text(f"{process_view()} {ended.pid} token")
    version = store.read_versioned("progress/run.json")[1]
    began = time.monotonic()
    assert store.replace("progress/run.json", b"2", version=version)
    assert time.monotonic() - began < 5
    assert not left.exists()
    for owner in (f"{process_view()} {os.getpid()}", f"another-host {ended.pid}"):
        left.write_text(f"{owner} token")
        assert not file_lock._owner_was_killed_here(left)


def test_lock_file_renewed_meanwhile_is_given_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class (public report): a lock taken over by another process while it looked abandoned."""
    path = tmp_path / ".ftm-run.json.locked"
    path.write_text("one 1 old")
    os.utime(path, (time.time() - 600, time.time() - 600))
    real = Path.touch

    def touch_late(probe: Path) -> None:
        path.write_text("two 2 new")
        real(probe)

    monkeypatch.setattr(Path, "touch", touch_late)
    file_lock._remove_if_abandoned(path)
    assert path.read_text() == "two 2 new"
    assert list(tmp_path.iterdir()) == [path]


def test_process_view_differs_between_like_named_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Class (public report): machines with one host name, and so processes of the same numbers.

    Without a machine id (an image of a container) the name and the namespace remain.
    """
    views = []
    for text in ("1" * 32, "2" * 32, "", None):
        file = tmp_path / f"{len(views)}"
        if text is not None:
            file.write_text(f"{text}\n")
        monkeypatch.setattr(processes, "_MACHINE", file)
        views.append(process_view.__wrapped__())
    assert len(set(views)) == 3
    assert views[2] == views[3]
    assert all(view.startswith(socket.gethostname()) for view in views)


def test_folder_of_circular_links_is_named(ftm: Ftm, tmp_path: Path) -> None:
    """Class: error numbers that share a message, further member: links that lead to each other.

    It was reported as an unknown home folder.
    """
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    ended = ftm("runs", "--target", "local", "--data", str(tmp_path / "one"))
    assert ended.returncode == 2
    assert "symbolic links lead to each other" in ended.stderr


def test_list_skips_what_file_systems_leave(tmp_path: Path) -> None:
    """Class: optional operations, further member: files that NFS and macOS clients leave.

    .nfsXXXX is a deleted file that is still open, ._NAME holds a file's attributes on SMB shares.
    """
    store = LocalStorage(tmp_path)
    store.write("progress/2023Q1/run.json", b"{}")
    for name in (".nfs00000001", "._run.json", ".DS_Store", ".fuse_hidden0001", ".smbdelete1"):
        (tmp_path / "progress/2023Q1" / name).write_bytes(b"\x00")
    assert list(store.list("progress/")) == ["progress/2023Q1/run.json"]


def test_output_folder_is_distinguished_from_a_missing_file(tmp_path: Path) -> None:
    """Class: error numbers that share a message. A folder is called a folder, not missing.

    Further members: a file in the middle of the path, a name that is too long, a folder that
    cannot be written.
    """
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a folder, not a file"):
        check_output_file(tmp_path)
    with pytest.raises(InputError, match="is a file, not a folder"):
        check_output_file(tmp_path / "file" / "report.html")
    with pytest.raises(InputError, match="too long"):
        check_output_file(tmp_path / ("n" * 300) / "report.html")
    check_output_folder(tmp_path / "new" / "er")
    store = LocalStorage(tmp_path)
    with pytest.raises(StorageError, match="too long"):
        store.write("k" * 300, b"")


def test_report_into_a_folder_says_so(ftm: Ftm, tmp_path: Path) -> None:
    """Class: error numbers that share a message. Reported before the page is made, with exit 2."""
    data = LocalStorage(tmp_path / "data")
    from tests.fakes.small_quarter import build_small_quarter

    build_small_quarter(data)
    (tmp_path / "out").mkdir()
    ended = ftm("report", "--data", data.uri, "--output", str(tmp_path / "out"))
    assert ended.returncode == 2
    assert "is a folder, not a file" in ended.stderr


def test_probe_names_a_store_without_conditions(tmp_path: Path) -> None:
    """Class: optional operations, further member: stores that ignore conditional writes."""

    class Careless(LocalStorage):
        def create(self, key: str, data: bytes) -> bool:
            self.write(key, data)
            return True

    class Bucket:
        """A store that is no folder, of which only the interface is known."""

        def __init__(self) -> None:
            self._store = Careless(tmp_path)
            self.uri = "s3://careless"

        def __getattr__(self, name: str) -> object:
            return getattr(self._store, name)

    with pytest.raises(InputError, match="refusing to create a file twice"):
        probe(Bucket())  # type: ignore[arg-type]
    assert list(LocalStorage(tmp_path).list("")) == []
