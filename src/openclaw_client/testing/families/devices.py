"""device.*: requests for approval, paired devices and their tokens."""

from __future__ import annotations

import asyncio

from openclaw_client.testing.callers import Caller, MethodError, Params, Switchboard
from openclaw_client.testing.pairing import PairedDevices, allows
from openclaw_client.testing.registry import ADMIN, PAIRING, Family, Method
from openclaw_client.testing.traits import Profile


class Devices:
    """The methods about devices."""

    def __init__(self, profile: Profile, pairing: PairedDevices, board: Switchboard) -> None:
        self._profile = profile
        self._pairing = pairing
        self._board = board

    def methods(self) -> Family:
        return {
            "device.pair.list": Method(self._pair_list, PAIRING),
            "device.pair.approve": Method(self._pair_approve, PAIRING),
            "device.pair.reject": Method(self._pair_reject, PAIRING),
            "device.pair.remove": Method(self._pair_remove, PAIRING),
            "device.token.rotate": Method(self._rotate, PAIRING),
            "device.token.revoke": Method(self._revoke, PAIRING),
        }

    def _pair_list(self, _caller: Caller, _params: Params) -> Params:
        paired = [
            {
                "deviceId": device.id,
                "publicKey": device.public_key,
                "platform": device.platform,
                "clientId": device.client_id,
                "clientMode": device.client_mode,
                "role": device.role,
                "roles": [device.role],
                "scopes": list(device.scopes),
                "createdAtMs": device.approved_at,
                "approvedAtMs": device.approved_at,
                "tokens": []
                if device.token is None
                else [{"role": device.role, "scopes": device.token.scopes, "createdAtMs": device.token.created_at}],
            }
            for device in self._pairing.devices.values()
        ]
        return {"pending": [request.fields() for request in self._pairing.pending.values()], "paired": paired}

    def _pair_approve(self, _caller: Caller, params: Params) -> Params:
        device = self._pairing.approve(params["requestId"])
        if device is None:
            raise MethodError("unknown requestId")
        self._board.announce_verdict(params["requestId"], device.id, "approved")
        fields = {"deviceId": device.id, "role": device.role, "roles": [device.role]}
        fields["scopes"] = list(device.scopes)
        return {"requestId": params["requestId"], "device": {**fields, "approvedAtMs": device.approved_at}}

    def _pair_reject(self, _caller: Caller, params: Params) -> Params:
        request = self._pairing.reject(params["requestId"])
        if request is None:
            raise MethodError("unknown requestId")
        self._board.announce_verdict(request.id, request.device_id, "rejected")
        return {"requestId": request.id, "deviceId": request.device_id}

    def _pair_remove(self, caller: Caller, params: Params) -> Params:
        self._check_owner(caller, params, "device pairing removal denied")
        if not self._pairing.remove(params["deviceId"]):
            raise MethodError("unknown deviceId")
        self._expel_soon(params["deviceId"])
        return {"deviceId": params["deviceId"]}

    def _rotate(self, caller: Caller, params: Params) -> Params:
        self._check_owner(caller, params, "device token rotation denied")
        device_id, role = params["deviceId"], params["role"]
        token = self._pairing.rotate(device_id, role)
        if token is None:
            denied = "device token rotation denied" if self._profile.detail_codes else "unknown deviceId/role"
            raise MethodError(denied)
        result: Params = {"deviceId": device_id, "role": role}
        if not self._profile.rotation_hides_token:
            result["token"] = token.value
        result |= {"scopes": list(token.scopes), "rotatedAtMs": token.created_at}
        if self._profile.rotation_hides_token:
            result["tokenDelivery"] = "withheld-cross-device"
        if self._profile.rotation_closes:
            self._expel_soon(device_id)
        return result

    def _revoke(self, caller: Caller, params: Params) -> Params:
        self._check_owner(caller, params, "device token revocation denied")
        device_id, role = params["deviceId"], params["role"]
        if not self._pairing.revoke(device_id, role):
            denied = "device token revocation denied" if self._profile.detail_codes else "unknown deviceId/role"
            raise MethodError(denied)
        if self._profile.rotation_closes:
            self._expel_soon(device_id)
        return {"deviceId": device_id, "role": role, "revokedAtMs": self._board.now_ms()}

    def _check_owner(self, caller: Caller, params: Params, denied: str) -> None:
        theirs = caller.device_id != params["deviceId"]
        if theirs and self._profile.admin_for_others and not allows(caller.scopes, ADMIN):
            raise MethodError(denied)

    def _expel_soon(self, device_id: str) -> None:
        # After the response: a device that rotates its own token gets the answer, then the close.
        asyncio.get_running_loop().call_soon(self._board.expel, device_id)
