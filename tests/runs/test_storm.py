"""Thousands of bad connections: whatever arrives of a recorded run, nothing raises, and the final is the truth.

The oracle reads the frames with the standard library's JSON and knows nothing of the code under test.
`STORM_SEQUENCES` in the environment asks for more than a few seconds' worth (make life SEQUENCES=…).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_client.protocol.events import CoreEvent
from openclaw_client.runs.events import (
    RunAborted,
    RunCompleted,
    RunErrored,
    RunEvent,
    Terminal,
    TextAppended,
    TextReplaced,
)
from openclaw_client.runs.fold import RunFold
from openclaw_client.runs.proactive import ProactiveAssembler
from openclaw_client.runs.stream import EventBuffer, TextPieces
from openclaw_client.runs.text import UNCLEAR
from openclaw_client.wire.agent import decode_agent
from openclaw_client.wire.frames import ChatFrame, Event, Frame, decode_frame
from tests.protocol.helpers import START, events, ready
from tests.runs.storm import RECORDINGS, RUN, message, storm

SEQUENCES = int(os.environ.get("STORM_SEQUENCES", "2500"))
TERMINAL = {"final": RunCompleted, "aborted": RunAborted, "error": RunErrored}


def fold_in(fold: RunFold, frames: Iterable[Frame | CoreEvent]) -> list[RunEvent]:
    """What a run makes of frames: its own chat and agent events, nothing else."""
    told: list[RunEvent] = []
    for frame in frames:
        if isinstance(frame, ChatFrame) and frame.payload.run_id == RUN:
            told += fold.chat(frame.payload)
        elif isinstance(frame, Event) and frame.event == "agent":
            payload = decode_agent(frame)
            if payload is not None and payload.run_id == RUN:
                told += fold.agent(payload)
    return told


def fold_in_short(fold: RunFold, frames: Iterable[bytes]) -> list[RunEvent]:
    """The same, where deltas take the fast path as long as nothing speaks against it."""
    told: list[RunEvent] = []
    for data in frames:
        event = fold.reducer.take(data, _number_of(data)) if fold.outcome is None else UNCLEAR
        if event is not UNCLEAR:
            told += [event] if event is not None else []
            continue
        frame = decode_frame(data)
        told += fold_in(fold, [frame])
        if isinstance(frame, ChatFrame) and frame.payload.run_id == RUN and frame.payload.state == "delta":
            fold.reducer.expect(data)
    return told


def _number_of(data: bytes) -> int:
    try:
        number = json.loads(data)["seq"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return -1
    return number if isinstance(number, int) else -1


def applied(told: Iterable[RunEvent]) -> str:
    text = ""
    for event in told:
        if isinstance(event, TextAppended):
            text += event.text
        elif isinstance(event, TextReplaced):
            text = event.text
    return text


def first_end(frames: list[bytes]) -> dict[str, Any] | None:
    """The payload of the first terminal chat event of the run. Storms leave those whole or take them away."""
    for data in frames:
        try:
            frame = json.loads(data)
        except (ValueError, RecursionError):
            continue
        payload = frame.get("payload") if isinstance(frame, dict) and frame.get("event") == "chat" else None
        if isinstance(payload, dict) and payload.get("runId") == RUN and payload.get("state") in list(TERMINAL):
            return payload
    return None


def words_of(payload: dict[str, Any]) -> str | None:
    said = payload.get("message")
    return said["content"][0]["text"] if isinstance(said, dict) else said


def check_end(fold: RunFold, frames: list[bytes]) -> None:
    """The first end that arrived is the run's, and what it says is the text."""
    end = first_end(frames)
    if end is None:
        assert fold.outcome is None
        return
    assert type(fold.outcome) is TERMINAL[end["state"]]
    assert fold.outcome.text == fold.text
    words = words_of(end)
    if end["state"] == "final" and words is not None:
        assert fold.text == words
    elif words is not None:
        assert fold.text.startswith(words)
    if isinstance(fold.outcome, RunErrored):
        assert fold.outcome.message == end["errorMessage"]
    else:
        assert fold.outcome.stop_reason == end.get("stopReason")


def check_pieces(told: list[RunEvent], room: int) -> None:
    """What a slow reader gets is the same text, in pieces of which each extends what was given before."""
    buffer, pieces, given_, text = EventBuffer(room), TextPieces(), "", ""
    for number, event in enumerate([*told, None]):
        if event is not None:
            buffer.append(event)
        while len(buffer) and (event is None or number % 5 == 0):
            read = buffer.popleft()
            text = (
                text + read.text
                if isinstance(read, TextAppended)
                else read.text
                if isinstance(read, TextReplaced)
                else text
            )
            piece = pieces.feed(read)
            given_ += piece
            assert not piece or given_ == text
    assert text == applied(told)
    assert not text.startswith(given_) or given_ == text


@pytest.mark.timeout(300)  # coverage and a busy machine make five times of the usual 4 seconds
@settings(max_examples=SEQUENCES, deadline=None, suppress_health_check=list(HealthCheck))
@given(recording=st.integers(0, len(RECORDINGS) - 1), dice=st.binary(max_size=80), room=st.integers(0, 8))
def test_whatever_arrives_the_final_is_the_text(recording: int, dice: bytes, room: int) -> None:
    frames = storm(RECORDINGS[recording], dice)
    # Frame by frame, and through the core of a live connection.
    fold, behind_core = RunFold(RUN), RunFold(RUN)
    told = fold_in(fold, map(decode_frame, frames))
    core = ready()
    for data in frames:
        core.receive(data, START)
    assert fold_in(behind_core, events(core)) == told
    assert (behind_core.text, behind_core.outcome, core.end) == (fold.text, fold.outcome, None)

    short = RunFold(RUN)
    told_short = fold_in_short(short, frames)
    check_end(short, frames)
    assert applied(told_short) == short.text

    check_end(fold, frames)
    assert applied(told) == fold.text
    ends = [event for event in told if isinstance(event, Terminal)]
    assert ends == ([fold.outcome] if fold.outcome is not None else [])
    assert not ends or told[-1] is ends[0]
    check_pieces(told, room)

    # To a client that did not ask for it, the same run is one message at the most.
    assembler = ProactiveAssembler()
    received = [
        assembler.receive(frame.payload)
        for frame in map(decode_frame, frames)
        if isinstance(frame, ChatFrame) and frame.payload.run_id == RUN
    ]
    messages = [found.text for found in received if found is not None]
    assert messages == ([fold.text] if isinstance(fold.outcome, RunCompleted) and fold.text else [])


def test_without_a_storm_every_recording_ends_with_its_last_word() -> None:
    for frames in RECORDINGS:
        fold = RunFold(RUN)
        told = fold_in(fold, map(decode_frame, frames))
        assert fold_in_short(RunFold(RUN), frames) == told
        assert fold.outcome is not None
        assert told[-1] is fold.outcome
        check_end(fold, frames)


def test_the_check_of_the_end_sees_a_wrong_end() -> None:
    frames = RECORDINGS[3]
    for wrong in (frames[:-1], [*frames[:-1], storm([frames[-1]], b"")[0].replace(b"Hello", b"Bye")]):
        fold = RunFold(RUN)
        fold_in(fold, map(decode_frame, frames))
        try:
            check_end(fold, wrong)
        except AssertionError:
            continue
        raise RuntimeError("the check let a wrong end pass")


def test_storms_do_all_they_promise() -> None:
    frames = RECORDINGS[6]
    assert storm(frames, b"") == frames
    assert storm(frames, bytes([1, 0])) == frames[1:]
    assert storm(frames, bytes([2, 0])) == [frames[0], *frames]
    assert storm(frames, bytes([13, 1])) == [frames[1], frames[0], *frames[2:]]
    rewritten = storm(frames[4:], bytes([4, 4]))
    assert json.loads(rewritten[0])["payload"]["message"] != message("Hel")
    assert storm(frames, bytes([8, 1]))[0] == b"\x00\x01\xff"
