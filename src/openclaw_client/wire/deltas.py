"""The shape of nearly every frame: a delta of a run, as gateways write it, decoded no further than its text needs.

Every delta repeats the whole text so far. Most of its bytes are therefore those of an earlier frame, and comparing
bytes costs a tenth of decoding them: such a frame is decoded without the bytes that are known. What is known is the
reader's business (`runs.text`); here is where the bytes stand.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

WORTHWHILE: Final = 900
"""Bytes of a frame from which on comparing and cutting is cheaper than decoding."""

# Key order of every observed gateway, and bytes that cannot stand within a JSON string: there, quotes are escaped.
_HEAD: Final = b'{"type":"event","event":"chat","payload":{"runId":"'
_NUMBER: Final = b',"seq":'
_TEXT_BEGINS: Final = b',"message":{"role":"assistant","content":[{"type":"text","text":"'
_TEXT_ENDS: Final = b'"}],"timestamp":'

MARK: Final = b'"text","text":"'
"""The end of what stands before a text: shorter than the whole, and so quicker to find."""
MARK_SIZE: Final = len(MARK)
CUT_HEAD: Final = b'{"payload":{'
"""What a frame may begin with instead of its head."""
RUN_ID: Final = slice(len(_HEAD), len(_HEAD) + 36)
"""Where a frame has the run's id, when that is a UUID; for other ids, bytes that tell most runs apart."""

# Nothing here can be part of a cycle, so the collector need not look at it. The types do the checking: one block, of
# text, in a delta that has a number.


class _Block(msgspec.Struct, gc=False):
    type: Literal["text"]
    text: str


class _Message(msgspec.Struct, gc=False):
    content: tuple[_Block]


class _Payload(msgspec.Struct, gc=False):
    seq: int
    state: Literal["delta"]
    message: _Message


class DeltaFrame(msgspec.Struct, gc=False):
    """seq: the connection's number; payload.seq is the run's."""

    payload: _Payload
    seq: int


decode_delta = msgspec.json.Decoder(DeltaFrame).decode
"""Raises one of UNDECODABLE for what is no delta, or not a simple one."""


def head_of(data: bytes) -> bytes | None:
    """How the chat frames of a run begin, up to the comma before their number; None for another order of keys."""
    end = data.find(_NUMBER, len(_HEAD))
    return data[:end] if end > 0 and data.startswith(_HEAD) else None


def text_bytes(data: bytes, begin: int, known: int) -> bytes | None:
    """The text that begins at a byte of a frame, of which so many bytes are known, as it stands in the JSON.

    None where it is not certain to be the message's.
    """
    end = data.find(_TEXT_ENDS, begin + known)
    return data[begin:end] if end > 0 and data.endswith(_TEXT_BEGINS, 0, begin) else None
