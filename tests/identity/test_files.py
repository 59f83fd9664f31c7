"""The identity in files: what is on disk, who may read it, and that nothing unreadable is ever replaced."""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import socket
import stat
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.errors import IdentityError
from openclaw_client.identity import DeviceToken, FileIdentityStore, default_identity_path, default_platform, disk

GATEWAY = "wss://gw.example"
TOKEN = DeviceToken("tok-secret", "operator", ("operator.read",), 1700000000000)

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions are ACLs there")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "identity" / "id.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_is_on_disk(path: Path) -> None:
    identity = FileIdentityStore(path).load()
    on_disk = json.loads(path.read_bytes())
    assert on_disk.pop("createdAtMs") > 1_700_000_000_000
    assert on_disk == {
        "version": 1,
        "deviceId": identity.id,
        "privateKey": identity.secret().split(":")[0],
        "platform": default_platform(),
        "deviceFamily": None,
    }
    # The lock is the only other file: no temporary one stays behind.
    assert sorted(contents(path.parent)) == ["id.json", "id.lock"]


def test_tokens_lie_beside_the_key(path: Path) -> None:
    store = FileIdentityStore(path)
    device = store.load().id
    key_file = path.read_bytes()
    store.save_token(GATEWAY, device, TOKEN)
    assert store.tokens_path == path.with_name("id.tokens.json")
    assert json.loads(store.tokens_path.read_bytes()) == {
        "version": 1,
        "tokens": [
            {
                "gateway": GATEWAY,
                "deviceId": device,
                "role": "operator",
                "token": "tok-secret",
                "scopes": ["operator.read"],
                "issuedAtMs": 1700000000000,
            }
        ],
    }
    assert path.read_bytes() == key_file
    assert sorted(contents(path.parent)) == ["id.json", "id.lock", "id.tokens.json"]


def test_another_store_of_the_same_path_finds_both(path: Path) -> None:
    first = FileIdentityStore(path)
    identity = first.load()
    first.save_token(GATEWAY, identity.id, TOKEN)
    for other in (FileIdentityStore(str(path), create=False), pickle.loads(pickle.dumps(first))):
        assert other.load() == identity
        assert other.load_token(GATEWAY, identity.id, "operator") == TOKEN


def test_the_platform_is_the_one_of_the_day_it_was_made(path: Path) -> None:
    identity = FileIdentityStore(path).load()
    moved = json.loads(path.read_bytes()) | {"platform": "darwin", "deviceFamily": "Mac"}
    path.write_text(json.dumps(moved))
    path.chmod(0o600)
    loaded = FileIdentityStore(path).load()
    assert (loaded.id, loaded.platform, loaded.device_family) == (identity.id, "darwin", "Mac")


def test_nothing_is_touched_before_the_first_call(path: Path, tmp_path: Path) -> None:
    store = FileIdentityStore(path)
    assert store.load_token(GATEWAY, "0" * 64, "operator") is None
    assert store.clear_token(GATEWAY, "0" * 64, "operator", "x") is False
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_is_there_already_is_not_written_again(path: Path) -> None:
    store = FileIdentityStore(path)
    store.save_token(GATEWAY, "d", TOKEN)
    before = store.tokens_path.stat()
    store.save_token(GATEWAY, "d", TOKEN)
    after = store.tokens_path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_clearing_looks_again_under_the_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileIdentityStore(path)
    store.save_token(GATEWAY, "d", TOKEN)
    fresh = DeviceToken("fresh", "operator")
    other, lock = FileIdentityStore(path), disk.file_lock

    def another_process_was_faster(lock_path: Path) -> Any:
        monkeypatch.setattr(disk, "file_lock", lock)
        other.save_token(GATEWAY, "d", fresh)
        return lock(lock_path)

    monkeypatch.setattr(disk, "file_lock", another_process_was_faster)
    assert store.clear_token(GATEWAY, "d", "operator", TOKEN.token) is False
    assert store.load_token(GATEWAY, "d", "operator") == fresh


def test_create_false_makes_nothing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="not allowed here") as caught:
        FileIdentityStore(path, create=False).load()
    assert caught.value.path == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_does_not_follow_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileIdentityStore("id.json")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.load()
    assert (tmp_path / "id.json").exists()


def test_the_home_sign_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert FileIdentityStore("~/id.json").path == tmp_path / "id.json"


@posix
def test_only_the_owner_may_read_what_is_made(path: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = FileIdentityStore(path)
        store.save_token(GATEWAY, store.load().id, TOKEN)
    finally:
        os.umask(before)
    assert [mode(path), mode(store.tokens_path), mode(path.with_name("id.lock"))] == [0o600] * 3
    assert [mode(tmp_path / "state"), mode(tmp_path / "state" / "identity")] == [0o700] * 2


@posix
def test_permissions_too_wide_are_narrowed_with_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FileIdentityStore(path)
    identity = store.load()
    store.save_token(GATEWAY, identity.id, TOKEN)
    path.chmod(0o644)
    store.tokens_path.chmod(0o660)
    with caplog.at_level(logging.WARNING, logger="openclaw_client.identity"):
        assert store.load() == identity
        assert store.load_token(GATEWAY, identity.id, "operator") == TOKEN
    assert [mode(path), mode(store.tokens_path)] == [0o600] * 2
    assert [record.name for record in caplog.records] == ["openclaw_client.identity"] * 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} was open to other users (mode 0644); it is 0600 now",
        f"{store.tokens_path} was open to other users (mode 0660); it is 0600 now",
    ]


def refuse(*_args: Any, **_kw: Any) -> Any:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@posix
@pytest.mark.parametrize("why", ["the file of root", "a file system that is read-only"])
def test_permissions_that_cannot_be_narrowed_are_told_once(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    store = FileIdentityStore(path)
    identity = store.load()
    path.chmod(0o640)
    if why.startswith("the file"):
        as_seen_by(4000, 0, monkeypatch)
    else:
        monkeypatch.setattr(os, "fchmod", refuse)
    with caplog.at_level(logging.WARNING, logger="openclaw_client.identity"):
        assert store.load() == store.load() == identity
    assert mode(path) == 0o640
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is open to other users (mode 0640), which this process cannot change"
    ]


def as_seen_by(user: int, owner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this process is of a user, and what it opens of an owner, both numbers."""
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        found = list(real(fd))
        found[stat.ST_UID] = owner
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "geteuid", lambda: user)


def edited(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda whole: json.dumps(json.loads(whole) | changes).encode()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _whole: b"",
    "cut short": lambda whole: whole[: len(whole) // 2],
    "zeros": lambda whole: bytes(len(whole)),
    "not UTF-8": lambda whole: whole.replace(b'"platform": "', b'"platform": "\xff'),
    "null": lambda _whole: b"null",
    "a list": lambda _whole: b"[]",
    "no fields": lambda _whole: b'{"version": 1}',
    "nested without end": lambda _whole: b'{"version":1,"x":' + b"[" * 200_000,
    "a later format": edited(version=2),
    "a format that is no number": edited(version="1"),
}
KEY_DAMAGE = DAMAGE | {
    "another device's id": edited(deviceId="0" * 64),
    "another key": edited(privateKey="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
    "a key too short": edited(privateKey="AAEC"),
    "a key that is no base64": edited(privateKey="*" * 43),
    "a key that is no text": edited(privateKey=None),
    "no platform": edited(platform=" "),
    "a platform with a line break": edited(platform="li\nnux"),
}
TOKENS_DAMAGE = {name: damage for name, damage in DAMAGE.items() if name != "not UTF-8"} | {
    "not UTF-8": lambda whole: whole.replace(b"tok-", b"\xff"),
    "an entry without a token": edited(tokens=[{"gateway": GATEWAY}]),
    "tokens that are no list": edited(tokens={}),
}


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("damage", KEY_DAMAGE.values(), ids=KEY_DAMAGE)
def test_a_damaged_key_file_is_an_error_and_stays_as_it_is(
    path: Path, damage: Callable[[bytes], bytes], create: bool
) -> None:
    secret = FileIdentityStore(path).load().secret().split(":")[0]
    path.write_bytes(damage(path.read_bytes()))
    before = contents(path.parent)
    with pytest.raises(IdentityError, match="was left as it is") as caught:
        FileIdentityStore(path, create=create).load()
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    assert "Restore the file" in caught.value.remedy
    assert secret not in "".join(traceback.format_exception(caught.value))
    assert contents(path.parent) == before


@pytest.mark.parametrize("damage", TOKENS_DAMAGE.values(), ids=TOKENS_DAMAGE)
def test_a_damaged_tokens_file_is_an_error_and_stays_as_it_is(path: Path, damage: Callable[[bytes], bytes]) -> None:
    store = FileIdentityStore(path)
    identity = store.load()
    store.save_token(GATEWAY, identity.id, TOKEN)
    store.tokens_path.write_bytes(damage(store.tokens_path.read_bytes()))
    before = contents(path.parent)
    for call in (
        lambda: store.load_token(GATEWAY, identity.id, "operator"),
        lambda: store.save_token(GATEWAY, identity.id, TOKEN),
        lambda: store.clear_token(GATEWAY, identity.id, "operator", TOKEN.token),
    ):
        with pytest.raises(IdentityError, match="was left as it is") as caught:
            call()
        assert caught.value.path == str(store.tokens_path)
        assert "Move the file away" in caught.value.remedy
        assert TOKEN.token not in "".join(traceback.format_exception(caught.value))
        assert contents(path.parent) == before
    assert store.load() == identity


def test_what_is_no_file_is_an_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(IdentityError, match="cannot be read") as caught:
        FileIdentityStore(path).load()
    assert caught.value.path == str(path)
    assert "Name a file" in caught.value.remedy
    assert list(path.parent.iterdir()) == [path]


def test_a_link_to_nothing_is_an_error(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "nothing")
    with pytest.raises(IdentityError, match="link to nothing"):
        FileIdentityStore(path).load()
    assert path.is_symlink()
    assert not path.exists()


def as_pipe(path: Path) -> None:
    os.mkfifo(path, 0o644)


def as_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def as_link(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("{}")
    other.chmod(0o644)
    path.symlink_to(other)


STRANGE = {"a pipe": as_pipe, "a device or a socket": as_socket, "a link to another file": as_link}


@posix
@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("place", ["path", "tokens_path", "_lock_path"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str, place: str) -> None:
    store = FileIdentityStore(tmp_path / "id.json")
    path = getattr(store, place)
    STRANGE[kind](path)
    before, kinds = mode(path), stat.S_IFMT(path.lstat().st_mode)

    def use() -> None:
        store.load()
        store.save_token(GATEWAY, "device", TOKEN)

    with pytest.raises(IdentityError, match=kind):
        use()
    assert (mode(path), stat.S_IFMT(path.lstat().st_mode)) == (before, kinds)


@posix
def test_what_becomes_a_pipe_behind_the_look_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileIdentityStore(path)
    store.load()
    regular = path.stat()
    path.unlink()
    as_pipe(path)
    monkeypatch.setattr(os, "lstat", lambda _: regular)
    with pytest.raises(IdentityError, match="a pipe"):
        store.load()


@posix
@pytest.mark.parametrize(("owner", "taken"), [(4000, True), (0, True), (4001, False)])
def test_the_file_of_another_user_is_refused_but_for_root_s(
    path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, taken: bool
) -> None:
    store = FileIdentityStore(path)
    identity = store.load()
    as_seen_by(4000, owner, monkeypatch)
    if taken:
        assert store.load() == identity
    else:
        with pytest.raises(IdentityError, match=r"another user \(uid 4001\)"):
            store.load()


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("x")
    with pytest.raises(IdentityError, match="cannot be"):
        FileIdentityStore(tmp_path / "state" / "id.json").load()
    assert (tmp_path / "state").read_text() == "x"


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_disk_that_fails_leaves_nothing_half_made(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(os, step, refuse)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(IdentityError, match="Read-only file system") as caught:
        FileIdentityStore(path).load()
    assert "Make its folder writable" in caught.value.remedy
    assert caught.value.path == str(path)
    assert list(contents(path.parent)) == ["id.lock"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_tokens(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    store = FileIdentityStore(path)
    store.save_token(GATEWAY, "d", TOKEN)
    before = contents(path.parent)
    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(IdentityError, match="Read-only file system"):
        store.save_token(GATEWAY, "d", DeviceToken("new", "operator"))
    with pytest.raises(IdentityError, match="Read-only file system"):
        store.clear_token(GATEWAY, "d", "operator", TOKEN.token)
    assert contents(path.parent) == before


def test_without_hard_links_the_file_still_appears_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse)
    identity = FileIdentityStore(path).load()
    assert FileIdentityStore(path, create=False).load() == identity
    assert sorted(contents(path.parent)) == ["id.json", "id.lock"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_is_there_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:
        monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "x"
    assert disk.write_new(target, b"first") is True
    assert disk.write_new(target, b"second") is False
    assert contents(tmp_path) == {"x": b"first"}


def test_a_lock_that_is_not_released_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(disk, "LOCK_TIMEOUT", 0.05)
    with disk.file_lock(path.with_name("id.lock")):
        with pytest.raises(IdentityError, match=r"another process has held id\.lock for 0\.05 s"):
            FileIdentityStore(path).load()
        assert not path.exists()
    assert FileIdentityStore(path).load().id


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OPENCLAW_STATE_DIR": "/srv/claw", "HOME": "/home/a"}, "/srv/claw"),
        ({"OPENCLAW_STATE_DIR": " /srv/claw/ "}, "/srv/claw"),
        ({"OPENCLAW_STATE_DIR": "~/claw", "HOME": "/home/a"}, "/home/a/claw"),
        ({"OPENCLAW_STATE_DIR": "~", "HOME": "/home/a"}, "/home/a"),
        ({"OPENCLAW_STATE_DIR": "~other", "HOME": "/home/a"}, "~other"),
        ({"OPENCLAW_STATE_DIR": " ", "HOME": "/home/a"}, "/home/a/.openclaw"),
        ({"OPENCLAW_HOME": "/opt/h", "HOME": "/home/a"}, "/opt/h/.openclaw"),
        ({"USERPROFILE": "/users/a"}, "/users/a/.openclaw"),
    ],
)
def test_default_path(environ: dict[str, str], expected: str) -> None:
    assert default_identity_path(environ) == Path(expected, "identity", "python-client.json")


@pytest.mark.parametrize("environ", [{}, {"OPENCLAW_STATE_DIR": "~/x"}, {"HOME": " "}])
def test_no_home_folder_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(IdentityError, match="OPENCLAW_STATE_DIR"):
        default_identity_path(environ)
