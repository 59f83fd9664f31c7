"""Commands that wait for somebody's approval: who is asked, who may answer, and what each release tells of it.

Knows the table of requests and their events. Refuses to know runs: a request has an owner, and an end.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from openclaw_client.testing.callers import Caller, Herald, MethodError, Owner
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.turn import Decision

Status = Literal["pending", "allowed", "denied", "expired", "cancelled"]

SCOPE: Final = "operator.approvals"
DECISIONS: Final[tuple[Decision, ...]] = ("allow-once", "allow-always", "deny")
KEPT: Final = 1_000
"""Requests that are remembered, answered ones included: a test has a handful."""

_CAPS: Final = frozenset({"approvals", "exec-approvals"})
_APPS: Final = frozenset({"openclaw-control-ui", "openclaw-macos", "openclaw-ios", "openclaw-android"})
"""Clients that are asked without the capability."""
_REMEDY: Final = "Re-request the action; pending approvals are cleared after expiry or restart."


@dataclass(slots=True, eq=False)
class ApprovalRequest:
    """One request. fields: as the event shows it. Times in milliseconds since 1970.

    decided: its decision, or None where nobody made one in time.
    """

    id: str
    fields: dict[str, Any]
    run_id: str
    owner: Owner = field(repr=False)
    created_at: int
    expires_at: int
    decided: asyncio.Future[Decision | None] = field(repr=False)
    status: Status = "pending"
    decision: Decision | None = None
    reason: str = ""
    resolver: dict[str, Any] = field(default_factory=dict)
    resolved_at: int = 0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def command(self) -> str:
        return str(self.fields["command"])

    @property
    def session_key(self) -> str:
        return str(self.fields["sessionKey"])

    @property
    def allowed(self) -> tuple[Decision, ...]:
        """The decisions that may be made; releases that don't name them take all."""
        return tuple(self.fields.get("allowedDecisions", DECISIONS))


class Approvals:
    """The requests of one gateway; lives as long as its process would."""

    def __init__(self, profile: Profile, herald: Herald, seconds: float) -> None:
        self._profile = profile
        self._herald = herald
        self._seconds = seconds
        self._table: dict[str, ApprovalRequest] = {}
        self._stopped = False

    @property
    def pending(self) -> list[ApprovalRequest]:
        """What waits for an answer, oldest first."""
        return [one for one in self._table.values() if one.status == "pending"]

    # Asking.

    def anybody(self, owner: Owner) -> bool:
        """Whether somebody who is there would be asked about a command of this client."""
        return bool(self._herald.who(lambda caller: self._is_asked(owner, caller)))

    def add(self, fields: dict[str, Any], run_id: str, owner: Owner, seconds: float | None) -> ApprovalRequest:
        """Begin to wait for an answer. fields: see `ApprovalRequest`."""
        loop = asyncio.get_running_loop()
        seconds = self._seconds if seconds is None else seconds
        now = self._herald.now_ms()
        ends = now + round(seconds * 1000)
        approval = ApprovalRequest(str(uuid.uuid4()), fields, run_id, owner, now, ends, loop.create_future())
        approval.timer = loop.call_later(seconds, self._expire, approval)
        self._table[approval.id] = approval
        if len(self._table) > KEPT:
            del self._table[next(iter(self._table))]
        return approval

    def announce(self, approval: ApprovalRequest) -> None:
        """Ask those who may answer."""
        self._tell(approval, "exec.approval.requested", self.shown(approval))

    def shown(self, approval: ApprovalRequest) -> dict[str, Any]:
        """A request as its event and the list show it."""
        kind = {"approvalKind": "exec"} if self._profile.approval_kinds else {}
        times = {"createdAtMs": approval.created_at, "expiresAtMs": approval.expires_at}
        return {**kind, "id": approval.id, "request": approval.fields, **times}

    # Looking.

    def sees(self, approval: ApprovalRequest, caller: Caller) -> bool:
        """Whether a client with the scope may see and answer a request."""
        return self._sees(approval.owner, caller)

    def find(self, ident: str, caller: Caller | None, *, pending: bool) -> ApprovalRequest | None:
        """The request with this id, or the only one whose id begins so, among those that the caller may see."""
        seen = [
            one
            for one in self._table.values()
            if (one.status == "pending") is pending and (caller is None or self.sees(one, caller))
        ]
        exact = next((one for one in seen if one.id == ident), None)
        if exact is not None or not ident or self._profile.approval_repeat == "unknown":
            return exact
        begun = [one for one in seen if one.id.startswith(ident)]
        if len(begun) > 1:
            raise MethodError("ambiguous approval id prefix; use the full id")
        return begun[0] if begun else None

    def exact(self, ident: str, caller: Caller) -> ApprovalRequest | None:
        """The request with this id, answered or not, if the caller may see it."""
        found = self._table.get(ident)
        return found if found is not None and self.sees(found, caller) else None

    # Answering.

    def answer(self, ident: str, decision: str, caller: Caller | None, by: str) -> None:
        """Answer a request as exec.approval.resolve does. Raises MethodError. caller: None for one who sees all."""
        if decision not in DECISIONS:
            raise MethodError("invalid decision")
        approval = self.find(ident, caller, pending=True)
        if approval is None:
            self._answer_again(ident, decision, caller)
            return
        if decision not in approval.allowed:
            why = "for this command" if self._profile.approval_kinds else "because every command needs an approval"
            details = {"reason": "APPROVAL_ALLOW_ALWAYS_UNAVAILABLE"}
            raise MethodError(f"allow-always is unavailable {why}", details=details)
        self.decide(approval, decision, by, resolver_of(caller, by))

    def _answer_again(self, ident: str, decision: str, caller: Caller | None) -> None:
        rule = self._profile.approval_repeat
        if rule == "unknown":
            raise MethodError("unknown approval id")
        answered = self.find(ident, caller, pending=False) if rule == "compared" else None
        if answered is None or answered.decision is None:
            raise self.unknown()
        if answered.decision != decision:
            raise MethodError("approval already resolved", details={"reason": "APPROVAL_ALREADY_RESOLVED"})

    def unknown(self) -> MethodError:
        """The refusal of a request that is not there for this client."""
        remedy = {"remediation": _REMEDY} if self._profile.approval_remedy else {}
        return MethodError("unknown or expired approval id", details={"reason": "APPROVAL_NOT_FOUND", **remedy})

    def decide(
        self, approval: ApprovalRequest, decision: Decision, by: str, resolver: dict[str, Any], reason: str = "user"
    ) -> None:
        """Somebody decided about a request that waits."""
        approval.decision, approval.resolver = decision, resolver
        self._end(approval, "denied" if decision == "deny" else "allowed", reason)
        self._tell_end(approval, decision, by)

    def close(self, approval: ApprovalRequest) -> None:
        """The run that asked is over."""
        if approval.status != "pending" or self._stopped or not self._profile.approval_abort_told:
            return
        by = "approval-scope-closed"
        approval.decision = "deny"
        approval.resolver = {"kind": "system", "id": by}
        self._end(approval, "cancelled", "run-aborted")
        self._tell_end(approval, "deny", by)

    def stop(self) -> None:
        """Forget everything, without a word: what a process that ends does."""
        self._stopped = True
        for approval in self.pending:
            if approval.timer is not None:
                approval.timer.cancel()

    def _expire(self, approval: ApprovalRequest) -> None:
        approval.resolver = {"kind": "system"}
        self._end(approval, "expired", "timeout")
        if self._profile.approval_expiry_told:
            self._tell_end(approval, "deny", None)

    def _end(self, approval: ApprovalRequest, status: Status, reason: str) -> None:
        approval.status, approval.reason = status, reason
        approval.resolved_at = self._herald.now_ms()
        if approval.timer is not None:
            approval.timer.cancel()
        if not approval.decided.done():
            approval.decided.set_result(approval.decision if status in ("allowed", "denied") else None)

    # Telling.

    def _tell_end(self, approval: ApprovalRequest, decision: str, by: str | None) -> None:
        payload: dict[str, Any] = {"id": approval.id, "decision": decision, "resolvedBy": by}
        payload["ts"] = approval.resolved_at
        if self._profile.approval_in_resolved:
            payload["request"] = approval.fields
        self._tell(approval, "exec.approval.resolved", payload)

    def _tell(self, approval: ApprovalRequest, event: str, payload: Mapping[str, Any]) -> None:
        if self._profile.approval_viewers == "scope":
            self._herald.to_scope(SCOPE, event, payload)
        else:
            asked = self._herald.who(lambda caller: self._is_asked(approval.owner, caller))
            self._herald.to_connections(asked, event, payload)

    def _is_asked(self, owner: Owner, caller: Caller) -> bool:
        if not allows(caller.scopes, SCOPE) or not self._sees(owner, caller):
            return False
        told = caller.caps & _CAPS or caller.client.get("id") in _APPS
        return bool(told) or not self._profile.approval_caps

    def _sees(self, owner: Owner, caller: Caller) -> bool:
        viewers = self._profile.approval_viewers
        if viewers == "scope" or "operator.admin" in caller.scopes:
            return True
        return viewers == "device" and owner.device is not None and owner.device == caller.device_id


def resolver_of(caller: Caller | None, by: str) -> dict[str, Any]:
    """Who decided, as approval.get tells it."""
    if caller is not None and caller.device_id is not None:
        return {"kind": "device", "id": caller.device_id}
    return {"kind": "runtime", "id": by}
