"""chat.send, chat.history, chat.abort, chat.inject, agent.wait and sessions.list.

Knows the checks of their parameters and the shape of their results per release; what a run does is in `runs`.
"""

from __future__ import annotations

import asyncio
import base64
import unicodedata
import uuid
from typing import TYPE_CHECKING, Any, Final

from openclaw_client.testing.busy import Message
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.run import Run
from openclaw_client.testing.runs import ABORT_WORDS, record
from openclaw_client.testing.transcripts import DEFAULT_LIMIT, Transcript, assistant_extra, cut, new_row, shown
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.sessions import canonical_key

if TYPE_CHECKING:
    from openclaw_client.testing.connection import Connection
    from openclaw_client.testing.hub import Hub

WAIT_DEFAULT: Final = 30.0
"""Seconds that agent.wait waits where the client names no time."""

_CONTROL: Final = dict.fromkeys([code for code in (*range(32), 127) if chr(code) not in "\t\n\r"])

Params = dict[str, Any]


class MethodError(Exception):
    """A request that is refused; a payload may stand beside the error."""

    def __init__(
        self, message: str, *, code: str = "INVALID_REQUEST", details: Any = None, payload: Any = None
    ) -> None:
        super().__init__(message)
        self.error = ErrorShape(code, message, details)
        self.payload = payload


class Chat:
    """The chat methods of one gateway."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._profile = hub.profile

    def send(self, connection: Connection, params: Params) -> Params:
        """chat.send: a run, or the end of one where the message is a stop word."""
        text = _clean(params["message"])
        attachments = self._attachments(params.get("attachments", []))
        if not text.strip() and not attachments:
            raise MethodError("message or attachment required")
        written = params["sessionKey"]
        key = canonical_key(written)
        if self._is_stop(text):
            return self._abort(connection, written, key, None, reason="stop")
        timeout = params.get("timeoutMs")
        message = Message(
            key,
            written,
            text,
            attachments,
            params["idempotencyKey"],
            timeout / 1000 if timeout else None,
            params.get("queueMode"),
        )
        sent = self._hub.runs.send(message, connection.owner)
        if sent.error is not None:
            raise _with_payload(sent.error, sent.payload)
        return sent.payload or {}

    def abort(self, connection: Connection, params: Params) -> Params:
        """chat.abort: the event goes out before this answer does."""
        written = params["sessionKey"]
        return self._abort(connection, written, canonical_key(written), params.get("runId"), reason="rpc")

    def inject(self, _connection: Connection, params: Params) -> Params:
        """chat.inject: a message of the assistant that no run made."""
        written = params["sessionKey"]
        session = self._hub.memory.transcripts.get(canonical_key(written))
        if session is None:
            raise MethodError("session not found")
        label = params.get("label", "").strip()
        text = f"[{label}]\n\n{params['message']}" if label else params["message"]
        row = new_row("assistant", text, self._hub.now_ms(), **assistant_extra(injected=True))
        if not self._profile.active_run_ids:
            row.id = uuid.uuid4().hex[:8] if not self._profile.delta_text else row.id
        place = len(session.rows) + 1
        payload: Params = {"runId": f"inject-{row.id}"}
        payload["sessionKey"] = session.key if self._profile.canonical_finals else written
        if self._profile.agent_in_chat:
            payload["agentId"] = "main"
        message = shown(row, place, self._profile)
        message.pop("__openclaw", None)
        self._hub.broadcast("chat", {**payload, "seq": 0, "state": "final", "message": message}, session.key)
        self._hub.loop.call_soon(record, self._hub, self._profile, session, row)
        return {"ok": True, "messageId": row.id}

    async def wait(self, _connection: Connection, params: Params) -> Params:
        """agent.wait: how a run ended, or "timeout"."""
        run_id = params["runId"]
        seconds = params["timeoutMs"] / 1000 if "timeoutMs" in params else WAIT_DEFAULT
        run = self._hub.runs.find(run_id)
        if run is not None and not run.over:
            waiter: asyncio.Future[None] = self._hub.loop.create_future()
            run.waiters.append(waiter)
            await asyncio.wait([waiter], timeout=seconds)
        elif run is None:
            await asyncio.sleep(seconds)
            run = self._hub.runs.find(run_id)
        return self._waited(run_id, run)

    def _waited(self, run_id: str, run: Run | None) -> Params:
        result: Params = {"runId": run_id, "status": "timeout"}
        if run is None or not run.over:
            if self._profile.delta_text and not self._profile.active_run_ids:
                queued = {"timeoutPhase": "queue", "providerStarted": False}
                result |= {"timeoutPhase": "gateway_draining"} if run is not None else queued
            return result
        if (run.state != "ok" or run.error) and not self._profile.wait_knows_failures:
            return result
        if run.state == "ok" or (run.state == "aborted" and not self._profile.active_run_ids):
            return {"runId": run_id, "status": "ok", "endedAt": run.ended_at}
        if run.state == "aborted":
            ended = {"endedAt": run.ended_at, "error": "aborted", "stopReason": run.stop_reason}
            return {"runId": run_id, "status": "error", **ended}
        return {"runId": run_id, "status": "error", "endedAt": run.ended_at, "error": run.error}

    def history(self, _connection: Connection, params: Params) -> Params:
        """chat.history: the newest messages, oldest of them first."""
        if "cursor" in params:
            # Cursors are made by the gateway's store; one that is not understood is answered so by the real one.
            return {"kind": "reset"}
        key = canonical_key(params["sessionKey"])
        session = self._hub.memory.transcripts.get(key)
        rows = [row for row in session.rows if self._hub.runs.shows(row.run_id)] if session is not None else []
        offset = int(params.get("offset", 0))
        limit = int(params.get("limit", DEFAULT_LIMIT))
        end = max(len(rows) - offset, 0)
        start = max(end - limit, 0)
        page: Params = {"sessionKey": params["sessionKey"]}
        if session is not None:
            page["sessionId"] = session.session_id
        chars = int(params.get("maxChars", self._profile.history_chars))
        shown_rows = [shown(row, start + at + 1, self._profile) for at, row in enumerate(rows[start:end])]
        page["messages"] = [cut(row, chars) for row in shown_rows]
        if self._profile.pages:
            page |= {"pendingInputs": self._pending(key), "hasMore": start > 0, "totalMessages": len(rows)}
            if "offset" in params:
                page["offset"] = offset
            if start > 0:
                page["nextOffset"] = offset + end - start
        if self._profile.session_info:
            page["sessionInfo"] = self._info(key, session)
        else:
            page["thinkingLevel"] = "off"
        run = self._hub.runs.running(key)
        if run is not None and self._profile.in_flight_run:
            page["inFlightRun"] = {"runId": run.id, "text": run.text}
        return page

    def message(self, _connection: Connection, params: Params) -> Params:
        """chat.message.get: one row, whole."""
        session = self._hub.memory.transcripts.get(canonical_key(params["sessionKey"]))
        for place, row in enumerate(session.rows if session is not None else (), 1):
            if row.id == params["messageId"]:
                return {"ok": True, "message": shown(row, place, self._profile)}
        return {"ok": False, "unavailableReason": "not_found"}

    def sessions_list(self, _connection: Connection, params: Params) -> Params:
        """sessions.list, newest first."""
        sessions = sorted(self._hub.memory.transcripts.sessions.values(), key=lambda one: -one.updated_at)
        limit = int(params.get("limit", 100))
        listed = [self._info(one.key, one) for one in sessions[:limit]]
        result: Params = {"ts": self._hub.now_ms(), "path": "(memory)", "count": len(listed)}
        if self._profile.session_info:
            more = len(sessions) > limit
            result |= {"totalCount": len(sessions), "limitApplied": limit, "nextOffset": limit if more else None}
            result["hasMore"] = more
        return {**result, "defaults": {"model": "embedded-1", "contextTokens": 200_000}, "sessions": listed}

    # Inside.

    def _pending(self, key: str) -> Params:
        items = [
            {"id": late.run_id, "state": "queued", "message": {"role": "user", "content": late.message}}
            | {"runId": late.run_id}
            for late in self._hub.runs.lates.pending(key)
        ]
        return {"items": items, "total": len(items)}

    def _info(self, key: str, session: Transcript | None) -> Params:
        info: Params = {"key": key, "kind": "direct", "updatedAt": session.updated_at if session else None}
        if session is not None:
            info |= {"chatType": "direct", "sessionId": session.session_id, "systemSent": True}
        info |= {"modelProvider": "embedded", "model": "embedded-1", "contextTokens": 200_000}
        if self._profile.session_info:
            active = self._hub.runs.active_ids(key)
            info["hasActiveRun"] = bool(active)
            if self._profile.active_run_ids:
                info["activeRunIds"] = active
        return info

    def _abort(self, connection: Connection, written: str, key: str, run_id: str | None, *, reason: str) -> Params:
        admin = allows(connection.scopes, "operator.admin")
        stopped = self._hub.runs.abort(written, key, run_id, connection.owner, admin=admin, reason=reason)
        if isinstance(stopped, str):
            raise MethodError(stopped)
        return {"ok": True, "aborted": bool(stopped), "runIds": stopped}

    def _is_stop(self, text: str) -> bool:
        word = text.strip().lower().rstrip("!.?… ")
        return word == "/stop" or word in ABORT_WORDS

    def _attachments(self, given: list[Any]) -> list[Params]:
        """Those with content, decoded and within the limits."""
        taken = []
        for index, item in enumerate(given):
            if not isinstance(item, dict) or not item.get("content"):
                continue
            name = item.get("fileName") or f"attachment-{index + 1}"
            content = str(item["content"])
            if content.startswith("data:"):
                content = content.partition(",")[2]
            try:
                data = base64.b64decode(content, validate=True)
            except ValueError:
                raise MethodError(f"Error: attachment {name}: invalid base64 content") from None
            mime = str(item.get("mimeType") or "")
            is_image = mime.startswith("image/") or item.get("type") == "image"
            if is_image and len(data) > self._profile.image_limit:
                limit = self._profile.image_limit
                raise MethodError(f"Error: attachment {name}: exceeds size limit ({len(data)} > {limit} bytes)")
            if is_image or not self._profile.drops_other_files:
                taken.append({"fileName": name, "mimeType": mime, "data": data})
        return taken


def _clean(text: str) -> str:
    """The message as the gateways store it: composed, without control characters but tab and line ends."""
    if "\0" in text:
        raise MethodError("message must not contain null bytes")
    return unicodedata.normalize("NFC", text).translate(_CONTROL)


def _with_payload(error: ErrorShape, payload: Params | None) -> MethodError:
    return MethodError(error.message, code=error.code, details=error.details, payload=payload)
