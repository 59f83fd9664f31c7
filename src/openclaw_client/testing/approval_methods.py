"""The methods that look at requests and answer them: exec.approval.*, and approval.* for all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from openclaw_client.testing.approvals import ApprovalRequest, Approvals, resolver_of
from openclaw_client.testing.callers import Caller, MethodError, Params
from openclaw_client.testing.turn import Decision

_NOT_FOUND: Final = {"reason": "APPROVAL_NOT_FOUND"}


class ApprovalMethods:
    """Performs them. Parameters are checked, but those of approval.*."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    def handlers(self) -> dict[str, Callable[[Caller, Params], Any]]:
        """By name, whether or not the release has it."""
        return {
            "exec.approval.list": self._list,
            "exec.approval.get": self._get_exec,
            "exec.approval.resolve": self._resolve_exec,
            "approval.get": self._get,
            "approval.resolve": self._resolve,
        }

    # Commands.

    def _list(self, caller: Caller, _params: Params) -> list[Params]:
        seen = [one for one in self._approvals.pending if self._approvals.sees(one, caller)]
        return [self._approvals.shown(one) for one in seen]

    def _get_exec(self, caller: Caller, params: Params) -> Params:
        approval = self._approvals.find(params["id"], caller, pending=True)
        if approval is None:
            raise self._approvals.unknown()
        fields = approval.fields
        named = {name: fields.get(name) for name in ("host", "nodeId", "agentId")}
        shown = {"commandText": approval.command, "commandPreview": None, **named}
        return {"id": approval.id, **shown, **_allowed(approval), "expiresAtMs": approval.expires_at}

    def _resolve_exec(self, caller: Caller, params: Params) -> Params:
        self._approvals.answer(params["id"], params["decision"], caller, name_of(caller))
        return {"ok": True}

    # All kinds.

    def _get(self, caller: Caller, params: Params) -> Params:
        if set(params) != {"id"} or not isinstance(params["id"], str) or not params["id"]:
            raise MethodError("invalid approval.get params")
        return {"approval": snapshot(self._known(caller, params["id"]))}

    def _resolve(self, caller: Caller, params: Params) -> Params:
        approval = self._known(caller, params.get("id"))
        if approval.status != "pending":
            return {"applied": False, "approval": snapshot(approval)}
        # Whatever is not a decision that may be made counts as a refusal.
        fine = set(params) - {"grantExpiresInDays"} == {"id", "kind", "decision"} and params["kind"] == "exec"
        wanted = params.get("decision") if fine else None
        made: list[Decision] = [one for one in approval.allowed if one == wanted]
        by = name_of(caller)
        reason = "user" if made else "malformed-verdict"
        self._approvals.decide(approval, made[0] if made else "deny", by, resolver_of(caller, by), reason)
        return {"applied": True, "approval": snapshot(approval)}

    def _known(self, caller: Caller, ident: Any) -> ApprovalRequest:
        found = self._approvals.exact(ident, caller) if isinstance(ident, str) else None
        if found is None:
            raise MethodError("approval not found", details=_NOT_FOUND)
        return found


def snapshot(approval: ApprovalRequest) -> Params:
    """A request as approval.get shows it, its end included."""
    fields = approval.fields
    presentation = {
        "kind": "exec",
        "commandText": approval.command,
        "commandPreview": None,
        "warningText": fields.get("warningText"),
        "host": fields["host"],
        "nodeId": None,
        "agentId": fields["agentId"],
        **_allowed(approval),
    }
    shown: Params = {"id": approval.id, "status": approval.status, "presentation": presentation}
    shown |= {"urlPath": f"/approve/{approval.id}", "createdAtMs": approval.created_at}
    shown["expiresAtMs"] = approval.expires_at
    if approval.status == "pending":
        return shown
    shown |= {"resolvedAtMs": approval.resolved_at, "reason": approval.reason}
    if approval.status in ("allowed", "denied"):
        shown["decision"] = approval.decision
    source = {"agentId": fields["agentId"], "sessionKey": approval.session_key}
    return {**shown, "source": source, "resolver": approval.resolver}


def _allowed(approval: ApprovalRequest) -> Params:
    return {"allowedDecisions": list(approval.allowed)}


def name_of(caller: Caller) -> str:
    """Who answers, as the event of the answer names it."""
    return str(caller.client.get("displayName") or caller.client.get("id"))
