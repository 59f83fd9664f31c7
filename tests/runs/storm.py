"""Recorded runs, and what a bad network and a gateway under load do to them.

A storm is made from a few random bytes: two per frame, what happens to it and how. Frames beyond the bytes pass as
they are. So one draw makes a whole sequence, and a failing one shrinks to few bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

RUN = "run-1"
KEY = "agent:main:main"


def frame(name: str, payload: object, seq: int | None) -> bytes:
    fields = {"type": "event", "event": name, "payload": payload, **({} if seq is None else {"seq": seq})}
    return json.dumps(fields, separators=(",", ":")).encode()


def message(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": 1_700_000_000_000}


def chat(state: str, seq: int, outer: int, **fields: object) -> bytes:
    return frame("chat", {"runId": RUN, "sessionKey": KEY, "seq": seq, "state": state, **fields}, outer)


def agent(stream: str, seq: int, outer: int, data: object) -> bytes:
    return frame("agent", {"runId": RUN, "stream": stream, "seq": seq, "sessionKey": KEY, "data": data}, outer)


def v3(words: list[str], final: bytes | None = None) -> list[bytes]:
    """Snapshots alone, agent events between them, and no flush: the last word is in the final only (2026.2.17)."""
    frames, text = [agent("lifecycle", 1, 71, {"phase": "start"})], ""
    for number, word in enumerate(words):
        text += word
        seq, outer = 2 * number + 2, 2 * number + 72
        frames.append(agent("assistant", seq, outer, {"text": text, "delta": word}))
        if number < len(words) - 1:
            frames.append(chat("delta", seq, outer + 1, message=message(text)))
    end = 2 * len(words) + 2
    return [*frames, final or chat("final", end, end + 71, message=message(text))]


def v4(words: list[str], ends: list[bytes] | None = None, rewritten: int | None = None) -> list[bytes]:
    """Status, deltas with a piece and a snapshot, a tool, a flush that shares its seq with the final (2026.9.6)."""
    frames = [
        chat("status", number, number, phase=phase)
        for number, phase in enumerate(("preparing_context", "starting_model"), 1)
    ]
    frames.append(agent("tool", 3, 3, {"phase": "start", "toolCallId": "t", "name": "exec", "args": {}}))
    frames.append(agent("tool", 4, 4, {"phase": "result", "toolCallId": "t", "name": "exec", "result": "ok"}))
    text, seq = "", 4
    for number, word in enumerate(words):
        seq += 1 + number % 3
        if number == rewritten:
            text = ""
            frames.append(chat("delta", seq, number + 5, deltaText="", replace=True, message=message("")))
        text += word
        frames.append(chat("delta", seq, number + 5, deltaText=word, message=message(text), agentId="main"))
    flush = chat("delta", seq, 90, deltaText="", message=message(text))
    final = chat("final", seq, 91, message=message(text), stopReason="end_turn", usage={"input": 3})
    return [*frames, flush, *(ends or [final])]


WORDS = ["Hel", "lo", " wor", "ld", "! ", "Grüße", " 😀", "😀", "\n", "漢字", " and", " so", " on", "."]
LONG = "So it goes, from word to word. " * 40
"""Long enough for a frame of which only what is new is decoded."""
RECORDINGS: list[list[bytes]] = [
    v3([LONG, *WORDS]),
    v4([LONG, *WORDS, LONG, *WORDS]),
    v4([LONG, *WORDS, *WORDS], rewritten=9),
    v3(WORDS),
    v3(WORDS, chat("final", 40, 99)),
    v3(WORDS, chat("aborted", 40, 99, message=message("Hello world"), stopReason="rpc")),
    v4(WORDS),
    v4(WORDS, rewritten=6),
    # The final is trimmed, or another text altogether.
    v4([*WORDS, "  "], [chat("final", 40, 99, message=message("".join(WORDS)))]),
    v4(WORDS, [chat("final", 40, 99, message="[reply] another text")]),
    v4(WORDS, [chat("final", 40, 99)]),
    # Two ends, as real gateways send them.
    v4(WORDS, [chat("aborted", 40, 98, stopReason="stop"), chat("final", 1, 99, message=message("late"))]),
    v4(
        WORDS,
        [
            chat("error", 40, 98, errorMessage="first", errorKind="timeout", errorDetail={"httpStatus": 500}),
            chat("error", 1, 99, errorMessage="second"),
        ],
    ),
]

JUNK: list[Any] = [None, True, -1, 0, 7, 10**30, 1.5, "", "text", "😀", [], [1, [2]], {}, {"text": 5}, {"content": 5}]
JUNK += [{"content": [5, None, {"type": 5}]}, {"content": [{"type": "text", "text": "rewritten"}]}, "x" * 300]
KEYS = ["runId", "sessionKey", "seq", "state", "message", "deltaText", "replace", "stopReason", "errorMessage", "usage"]
KEYS += ["errorDetail", "phase", "retry", "unknownKey", "agentId", "yielded"]
RUBBISH = [
    b"",
    b"\x00\x01\xff",
    b"{",
    b"[]",
    b"null",
    b'{"type":"event"}',
    b'{"type":"event","event":"chat"}',
    b'{"type":"event","event":"chat","payload":null,"seq":5}',
    b'{"type":"event","event":"brand.new","payload":{"runId":"run-1"},"seq":6}',
    b'{"type":"event","event":"tick","payload":{"ts":1}}',
    b'{"type":"res","id":"404","ok":true,"payload":{}}',
    b'{"type":"res","id":5}',
    b'{"type":"new","event":"chat"}',
    b"[" * 3000,
    chat("brand_new", 5, 50, message=message("not a text")),
    frame("chat", {"runId": "other", "sessionKey": KEY, "seq": 3, "state": "final", "message": message("foreign")}, 51),
    frame("agent", {"runId": RUN, "stream": "brand_new", "data": 5}, None),
]


def rewrite(data: bytes, how: int) -> bytes:
    """The frame with one field of its payload, or of itself, taken away or overwritten."""
    fields = json.loads(data)
    target = fields if how % 5 == 0 else fields["payload"]
    key = "seq" if how % 5 == 0 else KEYS[how % len(KEYS)]
    if how % 3 == 0:
        target.pop(key, None)
    else:
        target[key] = JUNK[how % len(JUNK)]
    return json.dumps(fields, separators=(",", ":") if how % 2 else None).encode()


def mangle(data: bytes, how: int) -> bytes:
    """The frame cut off, or with bytes in it that are no UTF-8, no JSON, or half a character."""
    at = how * len(data) // 256
    insert = (b"", b"\xff", b"\\ud83d", b'"', b"\x00", b"}")[how % 6]
    return data[:at] if how % 7 == 0 else data[:at] + insert + data[at + how % 2 :]


def is_delta(data: bytes) -> bool:
    return b'"state":"delta"' in data


Fate = Callable[[bytes, int], list[bytes]]
FATES: list[Fate] = [
    lambda data, how: [data],
    lambda data, how: [],
    lambda data, how: [data, data],
    lambda data, how: [data] * (how % 4),
    lambda data, how: [rewrite(data, how)] if is_delta(data) else [data],
    lambda data, how: [rewrite(data, how), data] if is_delta(data) else [data],
    lambda data, how: [mangle(data, how)] if is_delta(data) else [data],
    lambda data, how: [mangle(data, how), data] if is_delta(data) else [data],
    lambda data, how: [RUBBISH[how % len(RUBBISH)], data],
    lambda data, how: [data, RUBBISH[how % len(RUBBISH)]],
]


def storm(frames: list[bytes], dice: bytes) -> list[bytes]:
    """What arrives of the frames. From fate 10 on, a frame comes later than those after it."""
    arriving: list[tuple[float, bytes]] = []
    throws: Iterator[int] = iter(dice)
    for place, data in enumerate(frames):
        fate, how = next(throws, 0) % 14, next(throws, 0)
        if fate < len(FATES):
            arriving += [(place, copy) for copy in FATES[fate](data, how)]
        else:
            arriving.append((place + how % 9 + 0.5, data))
    # The sort is stable: frames that were not delayed stay in order.
    return [data for _, data in sorted(arriving, key=lambda entry: entry[0])]
