"""device.scopes.*: a device that is connected asks for more scopes, and waits until somebody decides.

Knows the answers of 2026.9.6. Refuses to know who may decide: device.pair.* does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from openclaw_client.testing.callers import Caller, MethodError, Params, Switchboard
from openclaw_client.testing.memory import Memory
from openclaw_client.testing.pairing import Applicant, covers, normal_scopes
from openclaw_client.testing.registry import Family, Method

MAX_UPGRADES: Final = 100
"""That are waited for at once; a test has one. The oldest is forgotten, and who waits for it is told so."""
_KNOWN: Final = frozenset(
    f"operator.{name}" for name in ("admin", "read", "write", "approvals", "pairing", "questions", "talk.secrets")
)
_NO_DEVICE: Final = (
    "device scope upgrade requires a paired browser identity; reopen the Control UI over HTTPS or localhost, then retry"
)
_DEVICE_DETAILS: Final = {
    "code": "DEVICE_IDENTITY_REQUIRED",
    "recommendedNextStep": "reopen_control_ui_securely",
}
_EXPIRED: Final = "scope upgrade expired or not found"

Verdict = asyncio.Future[Params | None]
"""What a waiting client is answered; None: nobody decides any more."""


class Upgrades:
    """The requests of devices for more scopes; lives as long as its process would."""

    def __init__(self, memory: Memory, board: Switchboard, *, widens: bool) -> None:
        self._memory = memory
        self._board = board
        self._widens = widens
        self._open: dict[str, tuple[str, Verdict]] = {}
        """The device and the verdict, by the id of the request."""

    def methods(self) -> Family:
        return {
            "device.scopes.requestUpgrade": Method(self._request, None),
            "device.scopes.waitUpgrade": Method(self._wait, None),
        }

    def decided(self, request_id: str, decision: str) -> None:
        """Somebody said yes or no to a request."""
        found = self._open.pop(request_id, None)
        if found is None or found[1].done():
            return
        device = self._memory.pairing.devices.get(found[0])
        answer: Params = {"status": decision, "requestId": request_id}
        if decision == "approved" and device is not None and device.token is not None:
            answer |= {"deviceToken": device.token.value, "scopes": list(device.token.scopes)}
        found[1].set_result(answer)

    def _request(self, caller: Caller, params: Params) -> Params:
        device = self._memory.pairing.devices.get(caller.device_id or "")
        if device is None:
            raise MethodError(_NO_DEVICE, details=_DEVICE_DETAILS)
        wanted = params["scopes"]
        if not _KNOWN.issuperset(wanted):
            raise MethodError("requested scopes contain an unknown operator scope")
        if not covers(wanted, caller.scopes):
            raise MethodError("requested scopes must include the connection's current scopes")
        client = caller.client
        who = Applicant(
            device.id, device.public_key, client["platform"], client["id"], client["mode"], device.role,
            tuple(normal_scopes(wanted)), device.device_family,
        )  # fmt: skip
        request, new = self._memory.pairing.ask(who, widens=self._widens)
        if request.id not in self._open:
            if len(self._open) == MAX_UPGRADES:
                self._forget(next(iter(self._open)))
            self._open[request.id] = (device.id, asyncio.get_running_loop().create_future())
        if new:
            self._board.announce_request(request.id)
        return {"requestId": request.id}

    def _wait(self, caller: Caller, params: Params) -> Awaitable[Any]:
        if caller.device_id is None:
            raise MethodError(_NO_DEVICE, details=_DEVICE_DETAILS)
        device, verdict = self._open.get(params["requestId"], ("", None))
        if verdict is None or device != caller.device_id:
            raise MethodError(_EXPIRED)
        return _answer(verdict)

    def _forget(self, request_id: str) -> None:
        _device, verdict = self._open.pop(request_id)
        if not verdict.done():
            verdict.set_result(None)


async def _answer(verdict: Verdict) -> Params:
    # Shielded: a client that goes away takes the verdict from no other.
    answer = await asyncio.shield(verdict)
    if answer is None:
        raise MethodError(_EXPIRED)
    return answer
