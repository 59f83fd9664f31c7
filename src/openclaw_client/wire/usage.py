"""What model calls took, as gateways write it down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn


def _refuse(_self: object, *_args: object, **_kwargs: object) -> NoReturn:
    """Not for users: it cannot be changed."""
    raise TypeError("what a reply took cannot be changed: make a dict of it")


_REFUSE: Any = _refuse
"""In the place of every method that changes a dict."""


class Usage(dict[str, Any]):
    """What a reply or a row took: the gateway's own mapping, with attributes for what every release tells.

    `usage["input"]` and `usage.input` are the same. It cannot be changed, and can be pickled and written as JSON.
    """

    __slots__ = ()

    @property
    def input(self) -> int | None:
        """Tokens that went to the model, but for those out of its cache; None where the gateway does not tell."""
        return _count(self.get("input"))

    @property
    def output(self) -> int | None:
        """Tokens that the model wrote; None where the gateway does not tell."""
        return _count(self.get("output"))

    @property
    def cache_read(self) -> int | None:
        """Tokens that came out of the model's cache; None where the gateway does not tell."""
        return _count(self.get("cacheRead"))

    @property
    def cache_write(self) -> int | None:
        """Tokens that were put into the model's cache; None where the gateway does not tell."""
        return _count(self.get("cacheWrite"))

    @property
    def total(self) -> int | None:
        """All tokens; None where the gateway does not tell."""
        return _count(self.get("totalTokens"))

    @property
    def cost(self) -> float | None:
        """The whole cost, in the currency of the gateway's price list (US dollars unless it was set otherwise); 0.0
        also where the gateway knows no price, None where it does not tell."""
        cost = self.get("cost")
        total = cost.get("total") if isinstance(cost, Mapping) else None
        if isinstance(total, bool) or not isinstance(total, int | float):
            return None
        try:
            return float(total)
        except OverflowError:
            return None

    def __repr__(self) -> str:
        return f"Usage({super().__repr__()})"

    def __reduce__(self) -> tuple[type[Usage], tuple[dict[str, Any]]]:
        return Usage, (dict(self),)

    def __deepcopy__(self, memo: object) -> Usage:
        return self

    def copy(self) -> dict[str, Any]:
        """A plain dict, which can be changed."""
        return dict(self)

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _REFUSE


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
