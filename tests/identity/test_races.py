"""Many processes and threads on one path, and processes without the right to write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openclaw_client.identity import DeviceToken, FileIdentityStore

PROCESSES = 20
THREADS = 8
GATEWAY = "wss://gw.example"

# Everything is loaded before "ready", so that the processes meet in the store and not in the import system.
RACER = """
import sys
from openclaw_client.identity import DeviceIdentity, DeviceToken, FileIdentityStore
DeviceIdentity.generate().id
store = FileIdentityStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
identity = store.load()
store.save_token(f"wss://gw-{sys.argv[2]}", identity.id, DeviceToken(f"token-{sys.argv[2]}", "operator"))
print(identity.id, flush=True)
"""


def test_twenty_processes_make_one_identity_and_lose_no_token(tmp_path: Path) -> None:
    path = tmp_path / "new" / "id.json"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        answers = [racer.communicate() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert [error for _, error in answers] == [""] * PROCESSES
    assert [racer.returncode for racer in racers] == [0] * PROCESSES
    ids = {line.strip() for line, _ in answers}
    assert ids == {json.loads(path.read_bytes())["deviceId"]}
    store = FileIdentityStore(path, create=False)
    stored = [store.load_token(f"wss://gw-{number}", store.load().id, "operator") for number in range(PROCESSES)]
    assert stored == [DeviceToken(f"token-{number}", "operator") for number in range(PROCESSES)]
    assert sorted(os.listdir(path.parent)) == ["id.json", "id.lock", "id.tokens.json"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_threads_make_one_identity_and_lose_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:

        def no_links(*_args: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "id.json"
    start = threading.Barrier(THREADS)

    def race(number: int) -> str:
        store = FileIdentityStore(path)
        start.wait()
        identity = store.load()
        store.save_token(GATEWAY, str(number), DeviceToken("t", "operator"))
        return identity.id

    with ThreadPoolExecutor(THREADS) as pool:
        ids = set(pool.map(race, range(THREADS)))
    assert len(ids) == 1
    store = FileIdentityStore(path)
    assert all(store.load_token(GATEWAY, str(number), "operator") for number in range(THREADS))


FORKER = """
import os, sys
from pathlib import Path
from openclaw_client.identity import disk
disk.LOCK_TIMEOUT = 0.5
reader, writer = os.pipe()
with disk.file_lock(Path(sys.argv[1])):
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
with disk.file_lock(Path(sys.argv[1])):
    print("free again")
os.close(writer)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_middle_does_not_keep_the_lock(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKER, str(tmp_path / "lock")], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == ("free again\n", "")


# Loads everything first: after giving up its rights the process may not be able to read its own libraries.
UNPRIVILEGED = """
import os, sys
from openclaw_client.errors import IdentityError
from openclaw_client.identity import DeviceIdentity, DeviceToken, FileIdentityStore
DeviceIdentity.generate().id
if os.geteuid() == 0:
    os.setuid(65534)
store = FileIdentityStore(sys.argv[1])
for call in (store.load, lambda: store.save_token("wss://gw", "d", DeviceToken("t", "operator"))):
    try:
        print("done", call())
    except IdentityError as error:
        print(error)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: its parents are closed to the user that the process becomes.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
        os.chmod(name, 0o700)


def unprivileged(path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, str(path)], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are ACLs there")
def test_a_folder_without_write_permission(folder: Path) -> None:
    folder.chmod(0o555)
    path = folder / "id.json"
    load, save = unprivileged(path)
    for line in (load, save):
        assert "cannot be written: Permission denied" in line
        assert "Make its folder writable" in line
    assert str(path) in load
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are ACLs there")
def test_an_identity_in_a_read_only_folder_is_enough_to_connect(folder: Path) -> None:
    path = folder / "id.json"
    identity = FileIdentityStore(path).load()
    path.chmod(0o444)
    path.with_name("id.lock").unlink()
    folder.chmod(0o555)
    load, save = unprivileged(path)
    assert load == f"done {identity!r}"
    assert "cannot be written: Permission denied" in save


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are ACLs there")
def test_a_key_that_may_not_be_read_is_not_replaced(folder: Path) -> None:
    path = folder / "id.json"
    FileIdentityStore(path).load()
    before = path.read_bytes()
    path.chmod(0o000)
    folder.chmod(0o777)
    load = unprivileged(path)[0]
    assert "cannot be read: Permission denied" in load
    assert str(path) in load
    path.chmod(0o600)
    assert path.read_bytes() == before
