"""A device identity in a file, its tokens in a second one beside it.

Knows the format of both and that neither is ever replaced when it cannot be read: a lost key costs a new approval on
every gateway. Shared by any number of threads and processes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from openclaw_client.errors import IdentityError
from openclaw_client.identity import disk
from openclaw_client.identity.device import DeviceIdentity, decode_base64url, encode_base64url
from openclaw_client.identity.store import DeviceToken
from openclaw_client.logs import GuardedLogger

_log = GuardedLogger("openclaw_client.identity")

_FORMAT: Final = 1
_KEY_REMEDY: Final = (
    "Restore the file from a backup; or move it away, and the next start makes a new identity,"
    " which the gateway has to approve again"
)
_TOKENS_REMEDY: Final = "Move the file away: the gateway issues the tokens again when a shared token or password is set"


class _Versioned(msgspec.Struct):
    version: int


class _KeyFile(msgspec.Struct, rename="camel"):
    version: int
    device_id: str
    private_key: str
    platform: str
    device_family: str | None
    created_at_ms: int

    def __repr__(self) -> str:
        return f"_KeyFile({self.device_id!r})"


class _TokenEntry(msgspec.Struct, rename="camel"):
    gateway: str
    device_id: str
    role: str
    token: str
    scopes: tuple[str, ...]
    issued_at_ms: int | None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.gateway, self.device_id, self.role

    def __repr__(self) -> str:
        return f"_TokenEntry{self.key!r}"


class _TokensFile(msgspec.Struct):
    version: int
    tokens: list[_TokenEntry]


_File = TypeVar("_File", _KeyFile, _TokensFile)


def default_identity_path(environ: Mapping[str, str]) -> Path:
    """`identity/python-client.json` under OPENCLAW_STATE_DIR, else under .openclaw in the home folder.

    The home folder is OPENCLAW_HOME, HOME or USERPROFILE, as for the gateway. The official clients do not touch
    this file, nor does this one theirs. Raises IdentityError where there is no home folder.
    """
    home = next((value for name in ("OPENCLAW_HOME", "HOME", "USERPROFILE") if (value := _setting(environ, name))), "")
    state = _setting(environ, "OPENCLAW_STATE_DIR") or os.path.join("~", ".openclaw")
    if state == "~" or state.startswith(("~/", "~" + os.sep)):
        if not home:
            raise IdentityError(
                message="there is no home folder to keep the device identity in",
                remedy="Set OPENCLAW_STATE_DIR to a folder that outlives this process, or pass identity=",
            )
        state = home + state[1:]
    return Path(state, "identity", "python-client.json")


def _setting(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


class FileIdentityStore:
    """An IdentityStore in two files: `path` holds the key, `<stem>.tokens.json` beside it the tokens.

    Any thread and any number of processes may use the same path: when several create it at once, one identity comes
    out. Files have mode 0600, folders made for them 0700. `<stem>.lock` beside them is only a lock and stays.

    Files are regular ones of this user's or of root's: links, pipes and devices are refused, and never opened.

    create=False: the file must exist, for production, where a missing volume should be an error and not a new
    device. Nothing is read or written before the first call. Methods block on the disk, and raise IdentityError with
    the path; what cannot be read is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        # Absolute, so that a later chdir does not make another device.
        self.path: Final = Path(os.path.abspath(os.path.expanduser(path)))
        self.tokens_path: Final = self.path.with_name(f"{self.path.stem}.tokens.json")
        self._lock_path: Final = self.path.with_name(f"{self.path.stem}.lock")
        self._create_allowed = create
        self._warned: set[Path] = set()

    def load(self) -> DeviceIdentity:
        """The identity; created where the file is absent and `create` allows it."""
        identity = self._read_key()
        if identity is not None:
            return identity
        if not self._create_allowed:
            raise IdentityError(
                message="there is no device identity, and creating one is not allowed here",
                path=str(self.path),
                remedy="Check that its folder is mounted and the path is right, or allow it with create=True",
            )
        return self._create()

    def load_token(self, gateway: str, device_id: str, role: str) -> DeviceToken | None:
        """The stored token, or None."""
        entry = self._read_tokens().get((gateway, device_id, role))
        return None if entry is None else DeviceToken(entry.token, entry.role, entry.scopes, entry.issued_at_ms)

    def save_token(self, gateway: str, device_id: str, token: DeviceToken) -> None:
        """Store token in the place of the one for the same gateway, device and role; on disk when this returns."""
        entry = _TokenEntry(gateway, device_id, token.role, token.token, token.scopes, token.issued_at_ms)
        with self._writing(self.tokens_path):
            tokens = self._read_tokens()
            if tokens.get(entry.key) != entry:
                tokens[entry.key] = entry
                self._write_tokens(tokens)

    def clear_token(self, gateway: str, device_id: str, role: str, token: str) -> bool:
        """Forget the token if the file still holds this one; whether it did. The key stays."""
        key, refused = (gateway, device_id, role), disk.Private(token.encode())
        # Crash reporters show the variables of the frames that an error came through.
        del token
        # Looked at first without the lock: where there is nothing to clear, nothing needs to be writable.
        if key not in self._read_tokens():
            return False
        with self._writing(self.tokens_path):
            tokens = self._read_tokens()
            if key not in tokens or tokens[key].token.encode() != refused:
                return False
            del tokens[key]
            self._write_tokens(tokens)
            return True

    def __repr__(self) -> str:
        return f"FileIdentityStore({str(self.path)!r})"

    def _read_key(self) -> DeviceIdentity | None:
        data = self._read(self.path, "device identity")
        if data is None:
            return None
        try:
            file = _decode(data, _KeyFile)
            identity = DeviceIdentity(decode_base64url(file.private_key), file.platform, file.device_family)
            if identity.id == file.device_id:
                return identity
            why = "deviceId does not fit the key"
        except ValueError as error:
            why = str(error)
        # Not in the except block: the error there, and its frames, were made of the key.
        raise self._unreadable(self.path, "device identity", why, _KEY_REMEDY)

    def _create(self) -> DeviceIdentity:
        with self._writing(self.path):
            if self._read_key() is None:
                disk.write_new(self.path, _encode_key(DeviceIdentity.generate()))
        # Read back: the truth is what other processes will find, whoever wrote it.
        identity = self._read_key()
        if identity is None:
            raise IdentityError(
                message="the device identity was created and is gone again, or its path is a link to nothing",
                path=str(self.path),
                remedy="Check what else writes there",
            )
        return identity

    def _read_tokens(self) -> dict[tuple[str, str, str], _TokenEntry]:
        data = self._read(self.tokens_path, "device token")
        if data is None:
            return {}
        try:
            return {entry.key: entry for entry in _decode(data, _TokensFile).tokens}
        except ValueError as error:
            why = str(error)
        raise self._unreadable(self.tokens_path, "device token", why, _TOKENS_REMEDY)

    def _write_tokens(self, tokens: dict[tuple[str, str, str], _TokenEntry]) -> None:
        disk.replace(self.tokens_path, _encode(_TokensFile(_FORMAT, list(tokens.values()))))

    def _read(self, path: Path, what: str) -> disk.Private | None:
        try:
            found = disk.read_private(path)
        except OSError as error:
            misled = isinstance(error, IsADirectoryError | NotADirectoryError)
            todo = "Name a file within a folder" if misled else "Give this process's user the right to read it"
            if isinstance(error, disk.Unsuitable):
                todo = "Name a regular file that belongs to this process's user; of a link, the file it points to"
            raise IdentityError(
                message=f"the {what} file cannot be read: {error.strerror}",
                path=str(path),
                remedy=f"{todo}; nothing was replaced",
            ) from error
        if found is None:
            return None
        data, complaint = found
        if complaint and path not in self._warned:
            self._warned.add(path)
            _log.warning("%s %s", path, complaint)
        return data

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """The lock, with errors of the disk as IdentityError."""
        try:
            disk.make_private_folder(path.parent)
            with disk.file_lock(self._lock_path):
                yield
        except OSError as error:
            raise IdentityError(
                message=f"the file cannot be written: {error.strerror or error}",
                path=str(path),
                remedy="Make its folder writable and give it room, or pass another identity store",
            ) from error

    def _unreadable(self, path: Path, what: str, why: str, remedy: str) -> IdentityError:
        return IdentityError(
            message=f"the {what} file cannot be used ({why}) and was left as it is", path=str(path), remedy=remedy
        )


def _decode(data: disk.Private, kind: type[_File]) -> _File:
    """The file, or ValueError whose text holds nothing of the content but its version."""
    try:
        # The version first: a later format would only look like missing fields.
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != _FORMAT:
            raise ValueError(f"its format is {version}, this release reads {_FORMAT}")
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _encode(file: _KeyFile | _TokensFile) -> disk.Private:
    return disk.Private(msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")


def _encode_key(identity: DeviceIdentity) -> disk.Private:
    return _encode(
        _KeyFile(
            version=_FORMAT,
            device_id=identity.id,
            private_key=encode_base64url(identity.seed),
            platform=identity.platform,
            device_family=identity.device_family,
            created_at_ms=time.time_ns() // 1_000_000,
        )
    )
