"""taskSuggestions.* and plugin.approval.*: what agents and plugins propose to people, of which there is never anything.

Knows the answers of 2026.9.6 where nothing waits.
"""

from __future__ import annotations

from openclaw_client.testing.callers import Caller, MethodError, Params
from openclaw_client.testing.registry import ADMIN, READ, WRITE, Family, Method

APPROVALS = "operator.approvals"
_GONE = {
    "reason": "APPROVAL_NOT_FOUND",
    "remediation": "Re-request the action; pending approvals are cleared after expiry or restart.",
}


def suggestion_methods() -> Family:
    """The methods that answer what is proposed."""
    return {
        "taskSuggestions.list": Method(lambda _caller, _params: {"suggestions": []}, READ),
        "taskSuggestions.accept": Method(_accept, ADMIN),
        "taskSuggestions.dismiss": Method(_dismiss, WRITE),
        "plugin.approval.list": Method(lambda _caller, _params: [], APPROVALS),
        "plugin.approval.resolve": Method(_resolve, APPROVALS),
    }


def _accept(_caller: Caller, _params: Params) -> Params:
    raise MethodError("task suggestion cannot be accepted: missing")


def _dismiss(_caller: Caller, params: Params) -> Params:
    return {"taskId": params["taskId"], "dismissed": False}


def _resolve(_caller: Caller, _params: Params) -> Params:
    raise MethodError("unknown or expired approval id", details=_GONE)
