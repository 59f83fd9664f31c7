"""All that leans on parts which picows and logging do not promise. Each says what is lost where it no longer holds.

tests/test_private_parts.py tells when that is. Knows nothing of what they are used for.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

PARSER_ROOM = 256
"""Bytes of its read buffer that picows leaves free for its parsers."""


def levels_of(logger: logging.Logger) -> Mapping[int, bool]:
    """The answers of `Logger.isEnabledFor` that logging keeps, at a tenth of what the call costs.

    Empty where there are none: then the level is asked for each time.
    """
    kept = getattr(logger, "_cache", None)
    return cast("Mapping[int, bool]", kept) if isinstance(kept, dict) else {}


def picows_protocol(*args: Any) -> asyncio.BufferedProtocol:
    """picows' own protocol, made as `picows.ws_connect` makes it."""
    from picows import api

    return cast(asyncio.BufferedProtocol, vars(api)["WSProtocol"](*args))


def connect_through(protocol: Callable[..., asyncio.BaseProtocol]) -> Callable[..., Any] | None:
    """`picows.ws_connect` with another protocol in the place of its own; None where picows has no such place.

    Then a server whose header Connection names more than the upgrade is refused, as picows does it.
    """
    from picows import api

    original = api.ws_connect
    if not (inspect.isfunction(original) and "WSProtocol" in original.__code__.co_names and hasattr(api, "WSProtocol")):
        return None
    named = {**original.__globals__, "WSProtocol": protocol}
    changed = FunctionType(original.__code__, named, original.__name__, original.__defaults__, original.__closure__)
    changed.__kwdefaults__ = original.__kwdefaults__
    return changed


def reads_into_a_buffer(transport: asyncio.Transport) -> bool:
    """Whether picows' protocol is one that gives its transport a buffer to read into.

    Else reading is neither paced nor is the hello kept from picows' buffer: long bursts hold the loop, and a connection
    at rest takes 18 KiB more.
    """
    return isinstance(transport.get_protocol(), asyncio.BufferedProtocol)


def has_read_nothing(transport: asyncio.Transport, buffer_size: int) -> bool:
    """Whether picows holds no part of a frame. buffer_size: bytes of the buffer that it was told to begin with.

    False, too, where its buffer is of another size than it was: then the hello is read into it, which grows and stays.
    """
    room = cast(asyncio.BufferedProtocol, transport.get_protocol()).get_buffer(-1)
    return memoryview(room).nbytes == buffer_size - PARSER_ROOM
