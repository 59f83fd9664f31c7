"""What a gateway says, made fit to be shown: without the client's own secrets, without what steers a terminal, cut.

Some gateways echo the credentials that they refuse. Knows the secrets and how values nest. Refuses to know where the
words come from and where they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec

from openclaw_client.errors.peer_text import SHOWN, cut, escaped, harmless, one_line
from openclaw_client.wire.frames import UNDECODABLE, ErrorShape

MASK = "…"
_IDENTIFIERS = frozenset({"code", "reason", "recommendedNextStep"})
"""Keys of an error whose values are words of the protocol, on which decisions are taken."""
_SECRET_KEY = re.compile(
    r"token|password|secret|signature|nonce|credential|cookie|authorization|(api|private)_?key|^answers$", re.IGNORECASE
)
"""Keys of a frame whose texts are never shown, known secret or not: hello-ok brings some that are new, and an answer to
an agent may be one."""
MAX_DEPTH = 32
"""Levels of a value that are kept in an error: gateways nest five deep. A thousand are more than Python can copy or
show, and a peer that sends them would raise an error where nobody waits for one."""
MAX_VALUES = 2000
"""Values of an error's details that are kept: a list of all that is wrong with a request has some dozens."""
LONGEST = 65_536
"""Bytes of a frame, or of an error's payload, that are decoded to be shown: more hold up the loop for what nobody
reads."""
_TICKET = re.compile(r"(\bmediaTicket=|/api/artifacts/download/)[^\s\"'<>&#]+")
"""What opens a file of an agent to whoever has the link: the value of its query, or all that follows of its path."""
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
        """A text for a sentence: in one line, and cut."""
        # Secrets last: one that was broken up by what is left out would be whole again.
        return cut(self._hide(one_line(text)))

    def identifier(self, value: Any) -> Any:
        """The same for a word of the protocol: a short secret that happens to be within one leaves it as it is."""
        if not isinstance(value, str):
            return self.value(value)
        value = one_line(value)
        for secret in self._secrets:
            if len(secret) >= UNMISTAKABLE or value == secret:
                value = value.replace(secret, MASK)
        return cut(value)

    def value(self, value: Any) -> Any:
        """The same for a decoded JSON value and all texts in it, keys included; line ends stay.

        What is deeper than `MAX_DEPTH` or comes behind `MAX_VALUES` values is left out.
        """
        return self._value(value, MAX_DEPTH, [MAX_VALUES])

    def _value(self, value: Any, depth: int, left: list[int]) -> Any:
        if isinstance(value, str):
            return self._hide(harmless(value))
        if not isinstance(value, dict | list):
            return value
        if depth == 0:
            return MASK
        room = max(left[0], 0)
        left[0] -= min(len(value), room)
        if isinstance(value, list):
            return [self._value(item, depth - 1, left) for item in value[:room]]
        return {
            self._hide(harmless(key)): self.identifier(item)
            if key in _IDENTIFIERS and isinstance(item, str)
            else self._value(item, depth - 1, left)
            for key, item in islice(value.items(), room)
        }

    def error(self, error: ErrorShape) -> ErrorShape:
        return msgspec.structs.replace(
            error, code=self.identifier(error.code), message=self.text(error.message), details=self.value(error.details)
        )

    def frame(self, data: bytes) -> str:
        """A frame as a line of a log: without its secrets, and cut at `SHOWN` characters.

        Of a long one the parts that are short: what kind it is, and whose.
        """
        try:
            decoded = msgspec.json.decode(data) if len(data) <= LONGEST else _short_parts(data)
            shown = msgspec.json.encode(self._masked(decoded)).decode()
        except UNDECODABLE:
            return f"{len(data)} bytes that are no JSON"
        return cut(escaped(shown))

    def payload(self, payload: msgspec.Raw) -> msgspec.Raw:
        """The same for encoded JSON; what is none, or very long, has nothing in it that is ever shown."""
        if len(payload) > LONGEST:
            return msgspec.Raw(b"")
        try:
            return msgspec.Raw(msgspec.json.encode(self.value(msgspec.json.decode(payload))))
        except UNDECODABLE:
            return msgspec.Raw(b"")

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _TICKET.sub(rf"\g<1>{MASK}", text) if "/api/" in text or "mediaTicket" in text else text

    def _masked(self, value: Any, depth: int = MAX_DEPTH, *, secret: bool = False) -> Any:
        """Also without the texts that stand under telling keys. Numbers stay: a count of tokens is no secret.

        The objects of a list speak for themselves: in a list of device tokens the role is none.
        """
        if isinstance(value, dict | list) and depth == 0:
            return MASK
        if isinstance(value, dict):
            return {
                self._hide(key): self._masked(item, depth - 1, secret=secret or _SECRET_KEY.search(key) is not None)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._masked(item, depth - 1, secret=secret and not isinstance(item, dict)) for item in value]
        if not isinstance(value, str):
            return value
        return MASK if secret and value else self._hide(value)


_parts: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _short_parts(data: bytes) -> dict[str, Any]:
    return {
        key: msgspec.json.decode(part) if len(part) <= SHOWN else f"… ({len(part)} bytes)"
        for key, part in islice(_parts.decode(data).items(), MAX_VALUES)
    }
