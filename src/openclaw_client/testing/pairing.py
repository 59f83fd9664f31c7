"""Devices that a gateway knows, those that wait for approval, and their tokens.

Knows no sockets and no credentials of the gateway; the clock is given.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from openclaw_client.testing.surfaces import Surfaces

_IMPLIED: Final = {
    "operator.admin": ("operator.read", "operator.write"),
    "operator.write": ("operator.read",),
}
"""Token scopes are stored with what they imply."""

Now = Callable[[], int]
"""Milliseconds since 1970."""


@dataclass(slots=True)
class IssuedToken:
    value: str = field(repr=False)
    scopes: list[str]
    created_at: int


@dataclass(slots=True)
class Device:
    """A paired device. scopes: as approved."""

    id: str
    public_key: str
    platform: str
    client_id: str
    client_mode: str
    role: str
    scopes: list[str]
    approved_at: int
    device_family: str | None = None
    token: IssuedToken | None = None
    silent: bool = False
    """Whether it was paired without asking anybody."""


@dataclass(slots=True)
class PairingRequest:
    """A device that waits for approval; `id` stays the same as long as it waits."""

    id: str
    device_id: str
    public_key: str
    platform: str
    client_id: str
    client_mode: str
    role: str
    scopes: list[str]
    at: int
    is_repair: bool
    device_family: str | None = None

    def fields(self) -> dict[str, Any]:
        """As it stands in device.pair.list and in device.pair.requested."""
        return {
            "requestId": self.id,
            "deviceId": self.device_id,
            "publicKey": self.public_key,
            "platform": self.platform,
            "clientId": self.client_id,
            "clientMode": self.client_mode,
            "role": self.role,
            "roles": [self.role],
            "scopes": list(self.scopes),
            "silent": False,
            "isRepair": self.is_repair,
            "ts": self.at,
        }


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks to be let in, out of the connect parameters."""

    device_id: str
    public_key: str
    platform: str
    client_id: str
    client_mode: str
    role: str
    scopes: tuple[str, ...]
    device_family: str | None = None


class PairedDevices:
    """The devices of one gateway. Everything survives a restart with memory."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self.devices: dict[str, Device] = {}
        self.pending: dict[str, PairingRequest] = {}
        self.surfaces = Surfaces(now)

    def standing(self, who: Applicant, *, checks_metadata: bool) -> str | None:
        """Why the device needs an approval: "not-paired", "role-upgrade", …; None where it needs none."""
        device = self.devices.get(who.device_id)
        if device is None or device.public_key != who.public_key:
            return "not-paired"
        if checks_metadata and (device.platform, device.device_family) != (who.platform, who.device_family):
            return "metadata-upgrade"
        if device.role != who.role or device.token is None:
            return "role-upgrade"
        if not covers(device.scopes, who.scopes):
            return "scope-upgrade"
        return None

    def ask(self, who: Applicant, *, widens: bool) -> tuple[PairingRequest, bool]:
        """The request of this device, and whether it is new.

        One that asks for something else takes the place of the one before, and asks for what that asked for, too.
        widens: whether a request for more stands for one for less.
        """
        known = self.request_of(who.device_id)
        wanted = list(who.scopes)
        if known is not None:
            same = set(known.scopes) == set(wanted) or (widens and covers(known.scopes, wanted))
            if same and (known.platform, known.role) == (who.platform, who.role):
                return known, False
            wanted = list(dict.fromkeys([*known.scopes, *wanted]))
            del self.pending[known.id]
        request = PairingRequest(
            id=str(uuid.uuid4()),
            device_id=who.device_id,
            public_key=who.public_key,
            platform=who.platform,
            client_id=who.client_id,
            client_mode=who.client_mode,
            role=who.role,
            scopes=wanted,
            at=self._now(),
            is_repair=who.device_id in self.devices,
            device_family=who.device_family,
        )
        self.pending[request.id] = request
        return request, True

    def request_of(self, device_id: str) -> PairingRequest | None:
        """The waiting request of a device."""
        return next((one for one in self.pending.values() if one.device_id == device_id), None)

    def approve(self, request_id: str) -> Device | None:
        """Pair the device that waits under this id; None where none does."""
        request = self.pending.pop(request_id, None)
        if request is None:
            return None
        return self.pair(
            Applicant(
                request.device_id,
                request.public_key,
                request.platform,
                request.client_id,
                request.client_mode,
                request.role,
                tuple(request.scopes),
                request.device_family,
            )
        )

    def pair(self, who: Applicant, *, silent: bool = False) -> Device:
        """Pair a device, or widen what it is approved for; either gives it a new token."""
        before = self.devices.get(who.device_id)
        scopes = list(dict.fromkeys([*(before.scopes if before else ()), *who.scopes]))
        device = Device(
            id=who.device_id,
            public_key=who.public_key,
            platform=who.platform,
            client_id=who.client_id,
            client_mode=who.client_mode,
            role=who.role,
            scopes=scopes,
            approved_at=self._now(),
            device_family=who.device_family,
            token=self._mint(scopes),
            silent=silent,
        )
        self.devices[device.id] = device
        return device

    def reject(self, request_id: str) -> PairingRequest | None:
        """Drop a waiting request; None where there is none."""
        return self.pending.pop(request_id, None)

    def remove(self, device_id: str) -> bool:
        """Forget a device and what it asked for, as a node, too."""
        self.surfaces.forget(device_id)
        waiting = self.request_of(device_id)
        if waiting is not None:
            del self.pending[waiting.id]
        return self.devices.pop(device_id, None) is not None

    def rotate(self, device_id: str, role: str) -> IssuedToken | None:
        """A new token for a paired device; the old one is void. None where there is no such device and role."""
        device = self.devices.get(device_id)
        if device is None or device.role != role or device.token is None:
            return None
        device.token = self._mint(device.scopes)
        return device.token

    def reissue(self, device_id: str, scopes: Iterable[str]) -> None:
        """A token for a paired device that has none."""
        self.devices[device_id].token = self._mint(scopes)

    def revoke(self, device_id: str, role: str) -> bool:
        """Void the token of a device."""
        device = self.devices.get(device_id)
        if device is None or device.role != role or device.token is None:
            return False
        device.token = None
        return True

    def token_fits(self, device_id: str, value: str, role: str) -> bool:
        """Whether this is the device's token; compared in constant time, as a gateway must."""
        device = self.devices.get(device_id)
        if device is None or device.token is None or device.role != role:
            return False
        return hmac.compare_digest(device.token.value.encode(), value.encode())

    def _mint(self, scopes: Iterable[str]) -> IssuedToken:
        return IssuedToken(secrets.token_urlsafe(32), normal_scopes(scopes), self._now())


def normal_scopes(scopes: Iterable[str]) -> list[str]:
    """Scopes as tokens hold them: with what they imply, each once, sorted."""
    found = {scope.strip() for scope in scopes if scope.strip()}
    for scope in list(found):
        found.update(_IMPLIED.get(scope, ()))
    return sorted(found)


def allows(granted: Iterable[str], scope: str) -> bool:
    """Whether these scopes include one: admin is everything, write includes read."""
    held = set(granted)
    if scope in held or "operator.admin" in held:
        return True
    return scope == "operator.read" and "operator.write" in held


def covers(approved: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether everything that is wanted is approved."""
    approved = list(approved)
    return all(allows(approved, scope) for scope in wanted)
