"""chat.send, chat.abort, chat.inject and agent.wait.

Knows the checks of their parameters and the shape of their results per release; what a run does is in `runs`.
"""

from __future__ import annotations

import asyncio
import base64
import unicodedata
import uuid
from typing import Any, Final

from openclaw_client.testing.callers import Audience, Caller, MethodError, Params
from openclaw_client.testing.messages import Message
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.run import Run
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Transcripts, assistant_extra, new_row, shown
from openclaw_client.wire.commands import is_stop_word
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.sessions import canonical_key

WAIT_DEFAULT: Final = 30.0
"""Seconds that agent.wait waits where the client names no time."""

_CONTROL: Final = dict.fromkeys([code for code in (*range(32), 127) if chr(code) not in "\t\n\r"])


class Chat:
    """The chat methods of one gateway."""

    def __init__(self, profile: Profile, transcripts: Transcripts, runs: Runs, audience: Audience) -> None:
        self._profile = profile
        self._transcripts = transcripts
        self._runs = runs
        self._audience = audience

    def send(self, caller: Caller, params: Params) -> Params:
        """chat.send: a run, or the end of one where the message is a stop word."""
        text = _clean(params["message"])
        attachments = self.attachments(params.get("attachments", []))
        if not text.strip() and not attachments:
            raise MethodError("message or attachment required")
        written = params["sessionKey"]
        key = canonical_key(written)
        if is_stop_word(text, self._profile.release):
            return self._abort(caller, written, key, None, reason="stop")
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
        sent = self._runs.send(message, caller.owner)
        if sent.error is not None:
            raise _with_payload(sent.error, sent.payload)
        return sent.payload or {}

    def abort(self, caller: Caller, params: Params) -> Params:
        """chat.abort: the event goes out before this answer does."""
        written = params["sessionKey"]
        return self._abort(caller, written, canonical_key(written), params.get("runId"), reason="rpc")

    def inject(self, _caller: Caller, params: Params) -> Params:
        """chat.inject: a message of the assistant that no run made."""
        written = params["sessionKey"]
        session = self._transcripts.get(canonical_key(written))
        if session is None:
            raise MethodError("session not found")
        label = params.get("label", "").strip()
        text = f"[{label}]\n\n{params['message']}" if label else params["message"]
        row = new_row("assistant", text, self._audience.now_ms(), **assistant_extra(injected=True))
        if not self._profile.delta_text:
            row.id = uuid.uuid4().hex[:8]
        place = len(session.rows) + 1
        payload: Params = {"runId": f"inject-{row.id}"}
        payload["sessionKey"] = session.key if self._profile.canonical_finals else written
        if self._profile.agent_in_chat:
            payload["agentId"] = "main"
        message = shown(row, place, self._profile)
        message.pop("__openclaw", None)
        self._audience.broadcast("chat", {**payload, "seq": 0, "state": "final", "message": message}, session.key)
        asyncio.get_running_loop().call_soon(self._runs.recorder.record, session, row)
        return {"ok": True, "messageId": row.id}

    async def wait(self, _caller: Caller, params: Params) -> Params:
        """agent.wait: how a run ended, or "timeout"."""
        run_id = params["runId"]
        seconds = params["timeoutMs"] / 1000 if "timeoutMs" in params else WAIT_DEFAULT
        run = self._runs.roster.find(run_id)
        if run is not None and not run.over:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            run.waiters.append(waiter)
            await asyncio.wait([waiter], timeout=seconds)
        elif run is None:
            await asyncio.sleep(seconds)
            run = self._runs.roster.find(run_id)
        return self._waited(run_id, run)

    def _waited(self, run_id: str, run: Run | None) -> Params:
        result: Params = {"runId": run_id, "status": "timeout"}
        if run is None or not run.over:
            if self._profile.wait_phase:
                queued = {"timeoutPhase": "queue", "providerStarted": False}
                result |= {"timeoutPhase": "gateway_draining"} if run is not None else queued
            return result
        if (run.state != "ok" or run.error) and not self._profile.wait_knows_failures:
            return result
        if run.state == "aborted" and self._profile.wait_aborted == "timeout":
            return result
        if run.state == "ok" or (run.state == "aborted" and self._profile.wait_aborted == "ok"):
            return {"runId": run_id, "status": "ok", "endedAt": run.ended_at}
        if run.state == "aborted":
            ended = {"endedAt": run.ended_at, "error": "aborted", "stopReason": run.stop_reason}
            return {"runId": run_id, "status": "error", **ended}
        return {"runId": run_id, "status": "error", "endedAt": run.ended_at, "error": run.error}

    # Inside, and for `agent`.

    def _abort(self, caller: Caller, written: str, key: str, run_id: str | None, *, reason: str) -> Params:
        admin = allows(caller.scopes, "operator.admin")
        stopped = self._runs.abort(written, key, run_id, caller.owner, admin=admin, reason=reason)
        if isinstance(stopped, str):
            raise MethodError(stopped)
        return {"ok": True, "aborted": bool(stopped), "runIds": stopped}

    def attachments(self, given: list[Any]) -> list[Params]:
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
