"""Approvals: what an agent may only do when a person allows it, out of the payloads of all releases.

Lenient: a payload is an approval if it has an id and says what is to be done. What it must be judged by (command,
folder, warnings) is never cut here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

Decision = Literal["allow-once", "allow-always", "deny"]

DECISIONS: Final[tuple[Decision, ...]] = ("allow-once", "allow-always", "deny")
"""What releases without `allowedDecisions` take (2026.2.17 and 2026.3.28)."""

FAMILIES: Final[Mapping[str, str]] = {"exec": "exec", "plugin": "plugin", "openclaw": "system-agent"}
"""How the names of events and methods begin (`exec.approval.…`), and what kind of approval that is."""

LISTS: Final[Mapping[str, str]] = {f"{family}.approval.list": kind for family, kind in FAMILIES.items()}
"""The methods that tell what is pending, and of what kind that is (2026.4.15 and later)."""

LATEST: Final = 1e15
"""Milliseconds since 1970 beyond which a number is no time: the year 33658."""

CLOSED_WITH_ITS_RUN: Final = "approval-scope-closed"
"""`resolvedBy` where nobody decided: the run was stopped (2026.8.1 and 2026.9.6)."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that an agent asks to be allowed to do.

    Attributes:
        id: The gateway's name for it: what `approve` and `deny` need, and all that a web page has to send back.
        kind: "exec" for a command, "plugin", or "system-agent".
        command: What is to be run; "" where it is no command.
        title: What it is about, where the gateway gives it a title.
        cwd: The folder in which the command is run.
        host: Where: "gateway", "node", "sandbox", in the gateway's words.
        agent_id: The agent that asks.
        session_key: The session in which it asks.
        run_id: The run that waits; None where the gateway does not tell (up to 2026.7.35).
        tool_call_id: The tool call that waits, as in `ToolStarted.call_id`.
        warnings: What the gateway found to be dangerous in it.
        allowed_decisions: What may be answered: "allow-once", "allow-always", "deny".
        expires_at: When nobody's answer counts any more, in seconds since 1970 by the gateway's clock.
        raw: The payload as it came.
    """

    id: str
    kind: str = "exec"
    command: str = ""
    title: str | None = None
    cwd: str | None = None
    host: str | None = None
    agent_id: str | None = None
    session_key: str | None = None
    run_id: str | None = None
    tool_call_id: str | None = None
    warnings: tuple[str, ...] = ()
    allowed_decisions: tuple[str, ...] = DECISIONS
    expires_at: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def states_decisions(self) -> bool:
        """Whether the gateway itself says what may be answered (2026.4.15 and later)."""
        request = self.raw.get("request")
        return isinstance(request, Mapping) and isinstance(request.get("allowedDecisions"), list)


class ApprovalEnd(NamedTuple):
    """How an approval ended. decision is None where the gateway does not tell."""

    id: str
    status: Literal["allowed", "denied", "expired", "cancelled", "gone"]
    decision: str | None = None


def approval_from(payload: Any, kind: str = "exec") -> Approval | None:
    """The approval of an event `….approval.requested`, or of a list of them; None where it is none."""
    if not isinstance(payload, Mapping):
        return None
    request = payload.get("request")
    ident = text(payload.get("id"))
    if ident is None or not isinstance(request, Mapping):
        return None
    command = text(request.get("command")) or _joined(request.get("commandArgv")) or ""
    title = text(request.get("title")) or text(request.get("description"))
    if not command and not title:
        return None
    return Approval(
        ident,
        text(payload.get("approvalKind")) or kind,
        command,
        title,
        text(request.get("cwd")),
        text(request.get("host")),
        text(request.get("agentId")),
        text(request.get("sessionKey")),
        text(request.get("runId")),
        text(request.get("toolCallId")),
        _warnings(request),
        _decisions(request),
        seconds(payload.get("expiresAtMs")),
        payload,
    )


def approvals_from(payload: Any, kind: str = "exec") -> list[Approval]:
    """The approvals of a list of them."""
    found = (approval_from(row, kind) for row in rows_of(payload))
    return [approval for approval in found if approval is not None]


def rows_of(payload: Any) -> list[Any]:
    """The rows of a list, wherever in the answer a release has it."""
    if isinstance(payload, Mapping):
        payload = next((value for value in payload.values() if isinstance(value, list)), [])
    return payload if isinstance(payload, list) else []


def approval_end_from(payload: Any) -> ApprovalEnd | None:
    """How an approval ended, out of an event `….approval.resolved`; None where it is none."""
    ident = text(payload.get("id")) if isinstance(payload, Mapping) else None
    if ident is None:
        return None
    decision, by = text(payload.get("decision")), text(payload.get("resolvedBy"))
    if decision in ("allow-once", "allow-always"):
        return ApprovalEnd(ident, "allowed", decision)
    if decision != "deny":
        return ApprovalEnd(ident, "gone", decision)
    if by == CLOSED_WITH_ITS_RUN:
        return ApprovalEnd(ident, "cancelled", decision)
    # 2026.9.6 says so where the time was over.
    return ApprovalEnd(ident, "denied" if by is not None else "expired", decision)


def recorded_end(ident: str, payload: Any) -> ApprovalEnd | None:
    """What `approval.get` or `approval.resolve` tells of an approval; None where it is still pending."""
    record = payload.get("approval", payload) if isinstance(payload, Mapping) else None
    if not isinstance(record, Mapping):
        return ApprovalEnd(ident, "gone")
    status, decision = text(record.get("status")), text(record.get("decision"))
    if status == "pending":
        return None
    if status in ("allowed", "denied", "expired", "cancelled"):
        return ApprovalEnd(ident, status, decision)  # type: ignore[arg-type]
    return ApprovalEnd(ident, "gone", decision)


def text(value: object) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def seconds(value: object) -> float | None:
    """Milliseconds as seconds; None for what is no time."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LATEST:
        return None
    return value / 1000


def _joined(value: object) -> str | None:
    return " ".join(map(str, value)) if isinstance(value, list) else None


def _decisions(request: Mapping[str, Any]) -> tuple[str, ...]:
    allowed = request.get("allowedDecisions")
    return tuple(one for one in allowed if isinstance(one, str)) if isinstance(allowed, list) else DECISIONS


def _warnings(request: Mapping[str, Any]) -> tuple[str, ...]:
    """Each warning once, in the gateway's words."""
    analysis = request.get("commandAnalysis")
    lines = analysis.get("warningLines") if isinstance(analysis, Mapping) else None
    given = [request.get("warningText"), *(lines if isinstance(lines, list) else ())]
    return tuple(dict.fromkeys(one for one in map(text, given) if one is not None))
