"""How long frames of every shape hold up the loop, and how much memory they take: `python -m bench.frames` (Linux).

Each is as long as a gateway may send one. Decoding holds the interpreter's lock, so that no thread would help; what is
measured is what everybody else waits.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from openclaw_client.wire.frames import ChatFrame, Event, Response, decode_frame, decode_payload, frame_payload

SIZE = 24_000_000
"""Bytes of a frame; the limit is 26,214,400."""
REPEATS = 3

_CHAT = b'{"type":"event","event":"chat","payload":{"runId":"r","sessionKey":"agent:main:main","seq":1,"state":'
PLACES = {
    "event": (b'{"type":"event","event":"x","payload":', b',"seq":5}'),
    "message": (_CHAT + b'"final","message":{"role":"assistant","content":', b'}},"seq":5}'),
    "error detail": (_CHAT + b'"error","errorDetail":', b'},"seq":5}'),
    "response": (b'{"type":"res","id":"1","ok":true,"payload":', b"}"),
    "details": (b'{"type":"res","id":"1","ok":false,"error":{"code":"X","message":"m","details":', b"}}"),
    "error text": (b'{"type":"res","id":"1","ok":false,"error":{"code":"X","message":', b"}}"),
}
TEXTS = {
    "plain": b"x",
    "two bytes each": "é".encode(),
    "line ends": b"\\n",
    "backslashes": b"\\\\",
    "escapes": b"\\u00e9",
    "pairs": b"\\ud83d\\ude00",
    "halves": b"\\ud83d",
}
ITEMS = {
    "numbers": b"1",
    "fractions": b"1.5e3",
    "nulls": b"null",
    "objects": b"{}",
    "lists": b"[]",
    "short texts": b'"a"',
    "long texts": b'"' + 60 * b"a" + b'"',
    "blocks": b'{"type":"text","text":"a"}',
    "deep lists": b"[" * 900 + b"]" * 900,
}


def bodies() -> Iterator[tuple[str, bytes]]:
    """What stands in the place of a value: its name and its JSON."""
    for name, unit in TEXTS.items():
        text = unit * (SIZE // len(unit))
        yield f"text, {name}", b'"' + text + b'"'
        yield f"text, half and {name}", b'"\\ud83d' + text + b'"'
    for name, item in ITEMS.items():
        yield f"list, {name}", b"[" + b",".join([item] * (SIZE // (len(item) + 1))) + b"]"
    yield "many keys", b"{" + b",".join(b'"key%018d":1' % number for number in range(SIZE // 26)) + b"}"
    yield "one key", b"{" + b",".join([b'"a":1'] * (SIZE // 6)) + b"}"
    yield "very deep", b"[" * (SIZE // 2) + b"]" * (SIZE // 2)
    yield "spaces", b" " * SIZE + b"1"
    yield "one number", b"1" * SIZE
    yield "no UTF-8", b'"\xff' + b"x" * SIZE + b'"'
    yield "no end", b'["' + b"x" * SIZE


def peak_of(work: Callable[[], object]) -> tuple[object, int]:
    """What work returns, and the bytes of memory that it took at its highest, beside what there was before."""
    gc.collect()
    # From here on the highest counts anew (proc_pid_clear_refs(5)).
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    result = work()
    return result, memory("VmHWM") - before


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def read(frame: bytes) -> object:
    """All that may become of a frame: it is decoded, and its payload is looked at."""
    decoded = decode_frame(frame)
    if isinstance(decoded, ChatFrame | Event):
        return decoded, frame_payload(decoded)
    if isinstance(decoded, Response):
        return decoded, decode_payload(decoded.payload)
    return decoded


def seconds_for(frame: bytes) -> float:
    """The least of a few: what else the machine does is none of the frame's."""
    took: list[float] = []
    for _ in range(REPEATS):
        begun = time.thread_time()
        decode_frame(frame)
        took.append(time.thread_time() - begun)
    return min(took)


def share_for(frame: bytes) -> float:
    """How many times its size a frame takes at most, itself included."""
    kept, peak = peak_of(lambda: read(frame))
    del kept
    return 1 + max(peak, 0) / len(frame)


def worst(measure: Callable[[bytes], float], body: bytes) -> tuple[float, str]:
    """The largest figure of all places, and the place."""
    return max((measure(head + body + tail), kind) for kind, (head, tail) in PLACES.items())


def give_back() -> None:
    """Have long pieces of memory given back as soon as they are free: else the next frame is read into those."""
    m_mmap_threshold, bytes_of_one = -3, 131_072
    ctypes.CDLL(None).mallopt(m_mmap_threshold, bytes_of_one)


def main() -> None:
    """A line for each shape: the place where it took longest, and that where it took the most memory."""
    slowest = {name: worst(seconds_for, body) for name, body in bodies()}
    give_back()
    for name, body in bodies():
        (took, where), (times, place) = slowest[name], worst(share_for, body)
        print(f"{name:32} {took * 1000:6.0f} ms  {where:14} {times:5.2f} x  {place}", flush=True)


if __name__ == "__main__":
    main()
