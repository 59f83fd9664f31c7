"""artifacts.*: the files of a session, and how a client gets one: its bytes in the answer, or a link with a ticket.

Knows the answers of 2026.8.1 and 2026.9.6. Refuses to know how a file is sent, and how a link is served.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from openclaw_client.testing.callers import Caller, MethodError, Params
from openclaw_client.testing.files import INLINE_PATH, SentFile, Tickets
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.registry import READ, Family, Method
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Row, Transcripts
from openclaw_client.wire.sessions import canonical_key

IMAGES: Final = 4
"""On one page of images, where a client asks for no fewer: the gateways' own number."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file as a session shows it. place: of its row, from 1. count: of the file among those of the session.
    by_row: whether it was asked for by the id that its row gives it, under which it has another name."""

    file: SentFile
    row: Row
    place: int
    count: int
    by_row: bool = False

    def summary(self, *, with_row: bool = True) -> Params:
        """with_row: whether it is told where the file stands."""
        file = self.file
        told: Params = {"id": file.row_id if self.by_row else file.artifact_id, "type": file.type}
        told["title"] = "Image" if self.by_row else f"image {self.count}" if file.inline else file.name
        told |= {"mimeType": file.mime_type, "sizeBytes": len(file.data), "sessionKey": file.session_key}
        if with_row and self.row.run_id is not None and not self.by_row:
            told["runId"] = self.row.run_id
        if with_row:
            told["messageSeq"] = self.place
        return {**told, "source": "session-transcript", "download": {"mode": "bytes" if file.inline else "url"}}


class Files:
    """The methods about files."""

    def __init__(self, profile: Profile, transcripts: Transcripts, tickets: Tickets) -> None:
        self._row_ids = profile.more_methods
        self._transcripts = transcripts
        self._tickets = tickets

    def methods(self) -> Family:
        return {
            "artifacts.list": Method(self._list, READ),
            "artifacts.get": Method(self._get, READ),
            "artifacts.download": Method(self._download, READ),
        }

    def _list(self, _caller: Caller, params: Params) -> Params:
        if params.get("type") != "image" and params.keys() & {"limit", "cursor"}:
            raise _refused("artifact_query_unsupported", "limit and cursor require type image")
        found = self._wanted(params)
        if params.get("type") != "image":
            return {"artifacts": [one.summary() for one in found]}
        return _images([one for one in found if one.file.type == "image"], params)

    def _get(self, _caller: Caller, params: Params) -> Params:
        return {"artifact": self._known(params).summary()}

    def _download(self, caller: Caller, params: Params) -> Params:
        found = self._known(params)
        file = found.file
        if not file.inline:
            alone = not params.keys() & {"runId", "messageRole"}
            # A link of its own kind is asked for by the session alone: then the row is not looked at.
            told = found.summary(with_row=not alone)
            ticket, until = self._tickets.issue(file.path, now_ms())
            return {"artifact": told, "url": f"{file.path}?mediaTicket={ticket}", "expiresAt": _instant(until)}
        told = found.summary()
        if params.get("transport") != "http":
            return {"artifact": told, "encoding": "base64", "data": base64.b64encode(file.data).decode()}
        place = f"{INLINE_PATH}/{caller.owner.connection}"
        ticket, until = self._tickets.issue(f"{place} {file.id}", now_ms())
        told["download"] = {"mode": "url"}
        return {"artifact": told, "url": f"{place}/{file.id}.{ticket}", "expiresAt": _instant(until)}

    def _known(self, params: Params) -> Artifact:
        wanted = params["artifactId"]
        for one in self._wanted(params):
            if wanted == one.file.artifact_id:
                return one
            if self._row_ids and wanted == one.file.row_id:
                return replace(one, by_row=True)
        raise _refused("artifact_not_found", "artifact not found", artifactId=wanted)

    def _wanted(self, params: Params) -> list[Artifact]:
        """The files that a request means: of a session, of a run in it, in rows of one role."""
        if not params.keys() & {"sessionKey", "runId", "taskId"}:
            raise _refused("artifact_query_unsupported", "artifacts require one of sessionKey, runId, or taskId")
        if "sessionKey" not in params:
            # Real gateways find the session of a run while it is performed, and some time behind it.
            raise _refused("artifact_scope_not_found", "no session found for artifact query")
        found = artifacts_of(self._transcripts, canonical_key(params["sessionKey"]))
        run, role = params.get("runId"), params.get("messageRole")
        return [one for one in found if run in (None, one.row.run_id) and role in (None, one.row.role)]


def artifacts_of(transcripts: Transcripts, key: str) -> Iterator[Artifact]:
    """The files of a session that a client may have, in the order of its rows."""
    session, count = transcripts.get(key), 0
    for place, row in enumerate(session.rows if session is not None else (), 1):
        for file in row.files:
            if file.kind is not None:
                count += 1
                yield Artifact(file, row, place, count)


def _images(images: list[Artifact], params: Params) -> Params:
    """A page of images, the newest first."""
    cursor = params.get("cursor", "0")
    if not (cursor.isascii() and cursor.isdigit()):
        raise _refused("artifact_cursor_invalid", "Image cursor expired or belongs to another session")
    start, newest = int(cursor), images[::-1]
    end = start + params.get("limit", IMAGES)
    page: Params = {"artifacts": [_pictured(one) for one in newest[start:end]]}
    return page | {"nextCursor": str(end)} if end < len(newest) else page


def _pictured(one: Artifact) -> Params:
    """An image with what shows it: a link, or itself where the row holds it."""
    file, told = one.file, one.summary()
    if not file.inline:
        return told | {"image": {"url": file.path}}
    data = f"data:{file.mime_type};base64,{base64.b64encode(file.data).decode()}"
    told |= {"id": f"preview_{file.artifact_id}", "source": "session-transcript-preview"}
    return told | {"download": {"mode": "unsupported"}, "image": {"url": data}}


def _refused(kind: str, message: str, **more: Any) -> MethodError:
    return MethodError(message, details={"type": kind, **more})


def _instant(ms: int) -> str:
    at = datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
