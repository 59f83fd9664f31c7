"""Takes a client's own secrets out of what a gateway says: some echo the credentials that they refuse.

Knows the secrets and how values nest. Refuses to know where the words come from and where they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from openclaw_client.wire.frames import UNDECODABLE, ErrorShape

MASK = "…"
_IDENTIFIERS = frozenset({"code", "reason", "recommendedNextStep"})
"""Keys of an error whose values are words of the protocol, on which decisions are taken."""
_SECRET_KEY = re.compile(
    r"token|password|secret|signature|nonce|credential|cookie|authorization|(api|private)_?key", re.IGNORECASE
)
"""Keys of a frame whose texts are never shown, known secret or not: hello-ok brings some that are new."""
SHOWN = 2000
"""Characters of a frame that are worth a line of a log; hello-ok alone has 16,000."""
UNMISTAKABLE = 12
"""Characters from which on a secret is no part of such a word by chance: a token "test" or "TOKEN" can be."""
SHORTEST = 4
"""Characters; to take a shorter secret out of a sentence would take the sentence with it."""


class Redactor:
    """Immutable. Neither its repr nor its variables show a secret as plain text in a traceback."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        # The longest first: one may be a part of another.
        self._secrets = sorted({one for one in secrets if one and len(one) >= SHORTEST}, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def plus(self, secret: str | None) -> Redactor:
        """One that knows this secret as well."""
        return Redactor([*self._secrets, secret])

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def identifier(self, value: Any) -> Any:
        """The same for a word of the protocol: a short secret that happens to be within one leaves it as it is."""
        if not isinstance(value, str):
            return self.value(value)
        for secret in self._secrets:
            if len(secret) >= UNMISTAKABLE or value == secret:
                value = value.replace(secret, MASK)
        return value

    def value(self, value: Any) -> Any:
        """The same for all texts in a decoded JSON value, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.value(key): self.identifier(item) if key in _IDENTIFIERS else self.value(item)
                for key, item in value.items()
            }
        return [self.value(item) for item in value] if isinstance(value, list) else value

    def error(self, error: ErrorShape) -> ErrorShape:
        return msgspec.structs.replace(
            error, code=self.identifier(error.code), message=self.text(error.message), details=self.value(error.details)
        )

    def frame(self, data: bytes) -> str:
        """A frame as a line of a log: without its secrets, and cut at `SHOWN` characters."""
        try:
            shown = msgspec.json.encode(self.value(_masked(msgspec.json.decode(data)))).decode()
        except UNDECODABLE:
            return f"{len(data)} bytes that are no JSON"
        return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}… ({len(shown)} characters)"

    def payload(self, payload: msgspec.Raw) -> msgspec.Raw:
        """The same for encoded JSON; what is none has nothing in it that is ever shown."""
        try:
            return msgspec.Raw(msgspec.json.encode(self.value(msgspec.json.decode(payload))))
        except UNDECODABLE:
            return msgspec.Raw(b"")


def _masked(value: Any, *, secret: bool = False) -> Any:
    """Without the texts that stand under telling keys, however deep. Numbers stay: a count of tokens is no secret.

    The objects of a list speak for themselves: in a list of device tokens the role is none.
    """
    if isinstance(value, dict):
        return {key: _masked(item, secret=secret or _SECRET_KEY.search(key) is not None) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, secret=secret and not isinstance(item, dict)) for item in value]
    return MASK if secret and isinstance(value, str) and value else value
