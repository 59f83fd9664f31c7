"""Who is asking: a signed cookie with a name in it.

There are no passwords: whoever reaches the server may be anybody on its list. Put your own login in place of this
module; everything else only wants a name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable
from typing import Final

COOKIE: Final = "webchat_user"
LIFETIME: Final = 12 * 3600
"""Seconds: a working day."""

# Lower case only: a gateway folds the case of session keys, and Ada must not share a conversation with ada.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")


class Accounts:
    """The people who may come in. secret: signs the cookies; a new one signs everybody out."""

    def __init__(self, names: Iterable[str], secret: bytes, *, now: Callable[[], float] = time.time) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._secret = secret
        self._now = now
        for name in self.names:
            if not _NAME.match(name):
                raise ValueError(f"{name!r} is no name: use up to 32 of a-z, 0-9 and -, beginning with a letter")

    def cookie(self, name: str) -> str:
        """The value that proves the name until it expires; KeyError for somebody who is not on the list."""
        if name not in self.names:
            raise KeyError(name)
        claim = f"{name}.{int(self._now()) + LIFETIME}"
        return f"{claim}.{self._sign(claim)}"

    def who(self, cookie: str | None) -> str | None:
        """The name that a cookie proves; None for one that is absent, forged, expired, or of nobody on the list."""
        claim, _, signature = (cookie or "").rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(claim).encode()):
            return None
        name, _, expires = claim.partition(".")
        return name if name in self.names and int(expires) > self._now() else None

    def _sign(self, claim: str) -> str:
        return hmac.new(self._secret, claim.encode(), hashlib.sha256).hexdigest()
