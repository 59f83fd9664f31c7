"""Scripts for a world: what may happen to runs, in any order, and the releases to which it happens."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.runs.gateway_model import Style
from tests.runs.life_reader import Reader
from tests.runs.life_world import World

OLD: Mapping[str, Any] = {"protocol": 3, "boots": False, "early": False, "pending": False, "answer_names": False}

STYLES = [
    Style("9.6"),
    Style("9.6 steer", meets="steered", silent_row=True, late_by=0.3),
    Style("9.6 collect", meets="collected", skew=3600.0),
    Style("9.6 late", wordless_late=True),
    Style("8.2", version="2026.8.2", activity="bare", pending=False, abort="silent"),
    Style("8.2 second", version="2026.8.2", activity="bare", pending=False, meets="second"),
    Style("8.2 collect", version="2026.8.2", activity="bare", pending=False, meets="collected"),
    Style("7.1", version="2026.7.1", early=False, activity="flag", pending=False, answer_names=False, tail=0.08),
    Style("7.35", version="2026.7.35", activity="flag", pending=True, answer_names=False, tail=0.2, meets="collected"),
    Style(
        "6.1", version="2026.6.1", boots=False, early=False, activity="flight", pending=False, answer_names=False,
        meets="queued", abort="both", tells_failure=False, late_by=0.3,
    ),
    Style(
        "5.12", version="2026.5.12", boots=False, early=False, activity="none", pending=False, answer_names=False,
        user_names="", tail=0.2, abort="final", meets="deferred",
    ),
    Style(
        "5.12 steer", version="2026.5.12", boots=False, early=False, activity="none", pending=False,
        answer_names=False, user_names="", tail=0.2, abort="final", meets="steered",
    ),
    Style(
        "5.12 second",
        version="2026.5.12",
        boots=False,
        early=False,
        activity="none",
        pending=False,
        answer_names=False,
        meets="second",
    ),
    Style("4.15", version="2026.4.15", activity="none", user_names="", tells_failure=False, abort="both", **OLD),
    Style("4.15 late", version="2026.4.15", activity="none", user_names="", late_by=0.5, wordless_late=True, **OLD),
    Style("2.17", version="dev", activity="none", user_names="text", row_ids=False, tail=0.05, skew=-7.0, **OLD),
]  # fmt: skip

Move = Callable[[World, int], object]


def _reader(world: World, number: int) -> Reader | None:
    return world.readers[number % len(world.readers)] if world.readers else None


def _adopt(world: World, number: int) -> None:
    reader = _reader(world, number)
    if reader is not None:
        world.adopt(reader, acknowledged=bool(number & 64))


def _seek(world: World, number: int) -> None:
    world.seek(f"key-{number % (world.numbers + 2)}")


def _abort(world: World, number: int) -> None:
    world.abort(f"key-{number % (world.numbers + 1)}")


def _abort_own(world: World, number: int) -> None:
    reader = _reader(world, number)
    if reader is not None and world.line is not None:
        world.abort(reader.key, reader)


def _speak(world: World, number: int) -> None:
    for _ in range(1 + number % 3):
        world.gateway.speak()
    world.flush()


def _tear(world: World, number: int) -> None:
    """A run ends, and the next begins, while the gateway is at a page."""
    world.gateway_reads()
    world.gateway.speak()
    _end(world, number)
    if number & 32:
        world.pass_time(0.25)
    if number & 16:
        world.gateway.speak()
        world.flush()
    world.gateway_answers(torn=True)


def _end(world: World, number: int) -> None:
    world.gateway.end("failed" if number % 16 == 15 else "done")
    world.flush()


def _start_again(world: World, number: int) -> None:
    world.gateway.start_again()
    world.flush()


def _reply(world: World, number: int) -> None:
    world.gateway.speak()
    _end(world, 0)
    world.deliver_all()


def _deliver(world: World, number: int) -> None:
    for _ in range(1 + number % 4):
        world.deliver()


def _refuse(world: World, number: int) -> None:
    world.refusal = "refused" if number % 4 == 3 else "refused for now"


def _drain(world: World, number: int) -> None:
    world.deliver_all()


def _wait(world: World, number: int) -> None:
    world.pass_time((0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 31.0)[number % 9])


def _wait_long(world: World, number: int) -> None:
    world.pass_time((60.0, 130.0, 250.0, 310.0)[number % 4])


def _cut(world: World, number: int) -> None:
    world.cut(number % 3, (number >> 2) % 4 * 2, errors_first=bool(number & 16), late_pages=bool(number & 32))


def _connect(world: World, number: int) -> None:
    world.connect((0.0, 0.02, 0.3, 4.0)[number % 4], (0.0, 0.02, 0.3, 4.0)[(number >> 2) % 4])


def _blink(world: World, number: int) -> None:
    _cut(world, number)
    _connect(world, number >> 3)


def _restart(world: World, number: int) -> None:
    world.crash()
    world.pass_time((0.0, 0.1, 3.0)[number % 3])
    _connect(world, number >> 2)


def _stale(world: World, number: int) -> None:
    if world.stale:
        world.receive(world.stale.pop(number % len(world.stale)))


def _lose(world: World, number: int) -> None:
    world.lose(told=number % 4 != 0)


def _gap(world: World, number: int) -> None:
    if world.line is not None and world.style.protocol == 3:
        # The numbers of wire v3 count for everybody.
        world.line.down.append(None)


MOVES: dict[str, Move] = {
    "nothing": lambda world, number: None,
    "start": lambda world, number: world.start(total=50.0 if number % 8 == 7 else None),
    "foreign": lambda world, number: world.foreign(),
    "adopt": _adopt,
    "seek": _seek,
    "abort": _abort,
    "abort own": _abort_own,
    "speak": _speak,
    "end": _end,
    "reply": _reply,
    "start again": _start_again,
    "gateway reads": lambda world, number: world.gateway_reads(),
    "gateway answers": lambda world, number: world.gateway_answers(number, torn=bool(number & 64)),
    "tear": _tear,
    "deliver": _deliver,
    "drain": _drain,
    "wait": _wait,
    "wait long": _wait_long,
    "cut": _cut,
    "connect": _connect,
    "blink": _blink,
    "crash": lambda world, number: world.crash(),
    "restart": _restart,
    "stale": _stale,
    "lose": _lose,
    "gap": _gap,
    "refuse": _refuse,
}
OFTEN = {
    "start": 5, "speak": 6, "end": 4, "reply": 2, "gateway reads": 5, "gateway answers": 4, "deliver": 8, "drain": 4,
    "tear": 3, "wait": 7, "foreign": 3, "blink": 3, "connect": 2, "lose": 4,
}  # fmt: skip
NAMES = ["nothing", *(name for name in MOVES if name != "nothing" for _ in range(OFTEN.get(name, 1)))]

Script = list[tuple[str, int]]


def some_script(source: random.Random, steps: int) -> tuple[Style, Script]:
    """A release and what happens to it, drawn from a source of randomness."""
    return source.choice(STYLES), [(source.choice(NAMES), source.randrange(128)) for _ in range(steps)]


def play(style: Style, script: Script) -> World:
    """Carry a script out, to the end of every run. Returns the world as it is then."""
    world = World(style)
    try:
        for name, number in script:
            if name != "nothing":
                world.log(f"-- {name} {number}")
                MOVES[name](world, number)
        world.log("-- settle")
        world.settle()
    except Exception as error:
        error.add_note("\n".join([style.name, *world.trace[-120:]]))
        raise
    return world


def shortest(style: Style, script: Script) -> Script:
    """What is left of a script that fails when every move is left out that can be."""
    size = max(1, len(script) // 2)
    while True:
        start, before = 0, len(script)
        while start < len(script):
            fewer = script[:start] + script[start + size :]
            if _fails(style, fewer):
                script = fewer
            else:
                start += size
        if size == 1 and len(script) == before:
            return script
        size = max(1, size // 2)


def _fails(style: Style, script: Script) -> bool:
    try:
        play(style, script)
    except Exception:  # noqa: BLE001 - a KeyError in the machine is a failure, too
        return True
    return False
