"""Clients that hear of approvals and questions, by raw events and requests."""

from __future__ import annotations

import uuid
from typing import Any, Self

from openclaw_client import AsyncGatewayClient
from openclaw_client.errors import MethodUnavailable, MissingScope, RequestFailed
from tests.contract.targets import PATIENT, Target, device_store
from tests.waiting import until

Payload = dict[str, Any]

SCOPES = ("operator.read", "operator.write", "operator.approvals")
ADMIN = (*SCOPES, "operator.admin")
QUESTIONS = (*SCOPES, "operator.questions")
CAPS = ("tool-events", "approvals")

REQUESTED, RESOLVED = "exec.approval.requested", "exec.approval.resolved"
ENDS = ("final", "aborted", "error")

_HEARD = (REQUESTED, RESOLVED, "question.requested", "question.resolved", "chat", "agent")


class Operator:
    """One connection. `heard` has the events so far by name, oldest first."""

    def __init__(self, target: Target, scopes: tuple[str, ...] = SCOPES, **options: Any) -> None:
        settings: dict[str, Any] = {"identity": device_store(), "caps": CAPS, "timeouts": PATIENT, **options}
        url = settings.pop("url", target.url)
        self.client = AsyncGatewayClient(url, token=target.token, scopes=scopes, **settings)
        self.heard: dict[str, list[Payload]] = {name: [] for name in _HEARD}
        for name, payloads in self.heard.items():
            self.client.on(name, lambda event, payloads=payloads: payloads.append(event.payload))

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.client.__aexit__(*exc)

    async def send(self, session: str, message: str) -> str:
        """Send a message; the id of its run."""
        params = {"sessionKey": session, "message": message, "idempotencyKey": uuid.uuid4().hex}
        answer = await self.client.request("chat.send", params)
        return str(answer["runId"])

    async def asked(self, command: str) -> Payload:
        """Wait until this client is asked about this command."""
        await until(lambda: self.requests(command))
        return self.requests(command)[0]

    def requests(self, command: str) -> list[Payload]:
        """What it was asked about this command."""
        return [one for one in self.heard[REQUESTED] if one["request"]["command"] == command]

    def outcomes(self, ident: str) -> list[tuple[str, str | None]]:
        """The decisions it heard of for this request, with who made them."""
        return [(one["decision"], one["resolvedBy"]) for one in self.heard[RESOLVED] if one["id"] == ident]

    def ends(self, run_id: str) -> list[Payload]:
        """The events that ended this run, or the one whose id begins so."""
        return [one for one in self.heard["chat"] if one["runId"].startswith(run_id) and one["state"] in ENDS]

    async def end(self, run_id: str) -> tuple[str, str]:
        """Wait for the end of this run; its state and its text."""
        await until(lambda: self.ends(run_id))
        event = self.ends(run_id)[0]
        blocks = (event.get("message") or {}).get("content", [])
        return event["state"], "".join(block.get("text", "") for block in blocks)

    def result(self, run_id: str) -> str:
        """The text of the result of the tool that this run called; empty when it has none."""
        data = [one["data"] for one in self.heard["agent"] if one["runId"] == run_id and one["stream"] == "tool"]
        blocks = [one["result"]["content"] for one in data if one["phase"] == "result"]
        return "".join(block["text"] for block in blocks[-1]) if blocks else ""

    def phases(self, run_id: str) -> list[tuple[str, Any]]:
        """What the lifecycle of this run said about approvals, with their ids."""
        data = [one["data"] for one in self.heard["agent"] if one["runId"] == run_id and one["stream"] == "lifecycle"]
        return [(one["phase"], one["approvalId"]) for one in data if "approvalId" in one]

    async def listed(self) -> list[str]:
        """The ids of the requests that it may answer."""
        return [one["id"] for one in await self.client.request("exec.approval.list", {})]

    async def answer(self, ident: str, decision: str) -> str:
        """Answer a request: "ok", or the reason why not."""
        return await self.refusal("exec.approval.resolve", {"id": ident, "decision": decision})

    async def refusal(self, method: str, params: Payload) -> str:
        """Why a request is refused, or "ok"."""
        try:
            await self.client.request(method, params)
        except (MissingScope, MethodUnavailable) as error:
            return type(error).__name__
        except RequestFailed as error:
            details = error.details if isinstance(error.details, dict) else {}
            return str(details.get("reason", error.message))
        return "ok"
