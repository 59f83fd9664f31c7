"""What can be wrong with a journal's file, in words: the reason, the sentence, what to do next.

Pure: takes SQLite's codes, touches no file.
"""

from __future__ import annotations

from typing import Final, Literal

from openclaw_client.errors import JournalError

Reason = Literal["in_use", "full", "read_only", "corrupt", "newer", "unavailable"]

_ADVICE: Final[dict[Reason, tuple[str, str]]] = {
    "in_use": (
        "another process has the journal",
        "A journal has one process at a time: end the other one, or give this one a journal of its own",
    ),
    "full": (
        "there is no room left for the journal",
        "Make room on its disk; nothing has to be started anew",
    ),
    "read_only": (
        "the journal cannot be written",
        "Let this process write the file and its folder; SQLite makes files beside it",
    ),
    "corrupt": (
        "the journal is damaged, or no journal",
        "Move it away with the files beside it that begin with its name, and start anew",
    ),
    "newer": (
        "the journal was made by a later version of this package",
        "Update openclaw-client, or give this version a journal of its own",
    ),
    "unavailable": (
        "the journal cannot be used",
        "Look at the path, at the rights of this process and at the disk",
    ),
}

# SQLite's primary result codes (https://sqlite.org/rescode.html): the standard library names them only while sqlite3
# is loaded, and this is looked up before that, too.
_BY_CODE: Final[dict[int, Reason]] = {
    8: "read_only",  # READONLY
    11: "corrupt",  # CORRUPT
    13: "full",  # FULL
    26: "corrupt",  # NOTADB
}
_READONLY_DBMOVED: Final = 8 | (4 << 8)


def failure(path: str, reason: Reason, detail: str = "", *, cause: BaseException | None = None) -> JournalError:
    """The error of a reason. detail: what is known beyond it."""
    said, remedy = _ADVICE[reason]
    error = JournalError(message=f"{said}: {detail}" if detail else said, remedy=remedy, path=path, reason=reason)
    error.__cause__ = cause
    return error


def from_sqlite(path: str, error: Exception) -> JournalError:
    """What an error of SQLite's means. Its words name tables and files, and no values."""
    code = getattr(error, "sqlite_errorcode", None)
    reason: Reason = "unavailable"
    if isinstance(code, int) and code != _READONLY_DBMOVED:
        reason = _BY_CODE.get(code & 0xFF, reason)
    return failure(path, reason, str(error), cause=error)
