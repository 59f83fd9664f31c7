"""The judge: everything that is wrong is seen, and what may happen is not called wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.judge import ALLOWED, FAULTS, Account, Restart, Said, Verdict, judge
from tests.crash.log import Line
from tests.crash.words import own_message, reply_to, text_of

SEED = "judged"
REPLY = reply_to(own_message("n1", SEED))
WORDS = text_of("i1", 3)


def line(what: str, at: float, life: int = 1, **facts: Any) -> Line:
    return {"what": what, "at": at, "life": life, **facts}


def taken(at: float, life: int = 1, **facts: Any) -> Line:
    given = {"name": "n1", "by": "send", "state": "final", "text": REPLY, "run": "own-n1", **facts}
    return line("taken", at, life, **given)


def told(at: float, error: str = "RunLost") -> Line:
    return line("told", at, 2, name="n1", by="attach", error=error, words="so it is")


def begin(at: float, life: int = 1, delivery: int = 1, **facts: Any) -> Line:
    return line("begin", at, life, **{"id": "one", "text": WORDS, "kind": "injected", "delivery": delivery, **facts})


def end(at: float, life: int = 1, delivery: int = 1, what: str = "end", **facts: Any) -> Line:
    return line(what, at, life, **{"id": "one", "delivery": delivery, **facts})


INTEND = line("intend", 1.0, name="n1", key="own-n1")
HANDLED = [begin(3.0), end(3.05)]
SETTLED = line("settled", 90.0, 9, runs=[])
SAID = Said("i1", WORDS, 2.9, certain=True)


def account(*lines: Line, **facts: Any) -> Account:
    given: dict[str, Any] = {"asked": {"n1": 1}, "said": [SAID], "histories": [WORDS], **facts}
    return Account(given.pop("release", "2026.9.6"), SEED, [*lines, SETTLED], **given)


def seen(verdict: Verdict) -> dict[str, int]:
    return {name: verdict.counts[name] for name in (*FAULTS, *ALLOWED) if verdict.counts[name]}


def test_nothing_is_wrong_with_what_came_once() -> None:
    verdict = judge(account(INTEND, taken(2.0), *HANDLED))
    assert (seen(verdict), verdict.faults) == ({}, [])
    assert [verdict.counts[name] for name in ("sent", "whole", "said")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("lines", "facts", "column"),
    [
        pytest.param([INTEND], {}, "replies_lost", id="no reply"),
        pytest.param([INTEND, told(2.0)], {}, "replies_lost", id="given up at a gateway that went on"),
        pytest.param(
            [INTEND, told(2.0)], {"restarts": [Restart(2.1, 2.2, True)]}, "replies_lost", id="given up before a restart"
        ),
        pytest.param(
            [INTEND, told(2.0, "RunFailed")],
            {"restarts": [Restart(1.5, 1.6, True)]},
            "replies_lost",
            id="failed, where no model did",
        ),
        pytest.param([INTEND, told(2.0, "RunFailed")], {"real": True}, "replies_lost", id="failed, and asked"),
        pytest.param([INTEND, told(2.0, "RunFailed")], {"asked": {}}, "replies_lost", id="failed by nobody"),
        pytest.param([INTEND, taken(2.0, text="other words")], {}, "replies_wrong", id="other words"),
        pytest.param([INTEND, taken(2.0, state="aborted")], {}, "replies_wrong", id="stopped by nobody"),
        pytest.param([INTEND, taken(2.0)], {"asked": {}}, "replies_wrong", id="a reply without a run"),
        pytest.param([INTEND, taken(2.0), taken(2.5)], {}, "replies_twice", id="taken twice in one life"),
        pytest.param(
            [INTEND, taken(2.0), taken(8.0, 2)],
            {"kills": [6.0]},
            "replies_twice",
            id="taken twice, the kill much later",
        ),
        pytest.param([INTEND, taken(2.0)], {"asked": {"n1": 2}}, "runs_doubled", id="asked twice"),
        pytest.param(
            [INTEND, taken(2.0), begin(2.5, text=REPLY, kind="run", id="x")], {}, "own_as_messages", id="the own reply"
        ),
    ],
)
def test_a_fault_of_a_reply_is_seen(lines: list[Line], facts: dict[str, Any], column: str) -> None:
    verdict = judge(account(*lines, *HANDLED, **facts))
    assert seen(verdict) == {column: 1}
    assert len(verdict.faults) == 1


@pytest.mark.parametrize(
    ("lines", "facts", "column"),
    [
        pytest.param([], {}, "messages_lost", id="never told"),
        pytest.param([begin(3.0)], {"kills": [3.1]}, "messages_lost", id="killed and never told again"),
        pytest.param([begin(3.0), end(3.1, what="raise")], {}, "messages_lost", id="raised and never told again"),
        pytest.param(
            [], {"restarts": [Restart(4.0, 5.0, True)]}, "messages_lost", id="never told, and the gateway has it yet"
        ),
        pytest.param(
            [], {"histories": [], "restarts": [Restart(4.0, 5.0, False)]}, "messages_lost", id="no crash of the gateway"
        ),
        pytest.param([begin(3.0)], {"dead": frozenset(["one"])}, "messages_lost", id="given up at the first delivery"),
        pytest.param([*HANDLED, begin(4.0, 1, 2), end(4.1, 1, 2)], {}, "messages_doubled", id="twice in one life"),
        pytest.param(
            [*HANDLED, begin(9.0, 2, 2), end(9.1, 2, 2)],
            {"kills": [8.0]},
            "messages_doubled",
            id="killed when it was long noted",
        ),
        pytest.param(
            [*HANDLED, begin(9.0, 2, 1), end(9.1, 2, 1)],
            {"kills": [3.1]},
            "messages_doubled",
            id="the delivery was not counted",
        ),
        pytest.param(
            [*HANDLED, begin(9.0, 2, id="two"), end(9.1, 2, id="two")],
            {"kills": [3.1]},
            "messages_doubled",
            id="another id",
        ),
        pytest.param(
            [*HANDLED, begin(9.0, 1, id="two"), end(9.1, 1, id="two")],
            {"release": "2026.4.15"},
            "messages_doubled",
            id="another id without a crash",
        ),
    ],
)
def test_a_fault_of_a_message_is_seen(lines: list[Line], facts: dict[str, Any], column: str) -> None:
    verdict = judge(account(INTEND, taken(2.0), *lines, **facts))
    assert seen(verdict) == {column: 1}
    assert len(verdict.faults) == 1


@pytest.mark.parametrize(
    ("lines", "facts", "column"),
    [
        pytest.param([INTEND, told(2.0)], {"restarts": [Restart(1.5, 1.6, True)]}, "told_lost", id="restarted"),
        pytest.param(
            [INTEND, told(2.0, "RunFailed")],
            {"real": True, "asked": {}},
            "told_failed",
            id="failed before it began",
        ),
        pytest.param(
            [INTEND, taken(2.0, state="aborted", text="some")],
            {"restarts": [Restart(1.5, 1.6, False)]},
            "told_lost",
            id="stopped by the gateway's end",
        ),
        pytest.param(
            [INTEND, taken(2.0), taken(4.0, 2)], {"kills": [2.5]}, "replies_again", id="killed over the reply"
        ),
    ],
)
def test_what_may_become_of_a_reply(lines: list[Line], facts: dict[str, Any], column: str) -> None:
    verdict = judge(account(*lines, *HANDLED, **facts))
    assert (seen(verdict), verdict.faults) == ({column: 1}, [])


AGAIN = [begin(9.0, 2, 2), end(9.1, 2, 2)]


@pytest.mark.parametrize(
    ("lines", "facts", "column"),
    [
        pytest.param([begin(3.0), *AGAIN], {"kills": [3.1]}, "messages_again_killed", id="killed in the handler"),
        pytest.param([*HANDLED, *AGAIN], {"kills": [3.1]}, "messages_again_killed", id="killed right behind it"),
        pytest.param([begin(3.0), end(3.1, what="raise"), *AGAIN], {}, "messages_again_raised", id="raised"),
        pytest.param(
            [*HANDLED, begin(9.0, 2, id="two"), end(9.1, 2, id="two")],
            {"release": "2026.4.15", "kills": [8.0]},
            "messages_again_other_id",
            id="a release that names no runs",
        ),
        pytest.param(
            [begin(3.0, delivery=4)],
            {"dead": frozenset(["one"]), "kills": [3.1]},
            "messages_dead",
            id="a poison message",
        ),
        pytest.param(
            [], {"histories": [], "restarts": [Restart(4.0, 5.0, True)]}, "gone_at_gateway", id="lost by the gateway"
        ),
    ],
)
def test_what_may_become_of_a_message(lines: list[Line], facts: dict[str, Any], column: str) -> None:
    verdict = judge(account(INTEND, taken(2.0), *lines, **facts))
    assert (seen(verdict), verdict.faults) == ({column: 1}, [])


def test_what_is_not_certain_may_be_missing() -> None:
    verdict = judge(account(INTEND, taken(2.0), said=[Said("i1", WORDS, 2.9, certain=False)], histories=[]))
    assert (seen(verdict), verdict.faults) == ({}, [])


@pytest.mark.parametrize("state", ["sent", "answered"])
def test_what_is_still_listed_is_seen(state: str) -> None:
    listed = line("settled", 99.0, 9, runs=[{"name": "n1", "run": "own-n1", "state": state}])
    for lines in ([INTEND], [INTEND, taken(2.0)]):
        found = account(*lines, *HANDLED)
        found.lines.append(listed)
        assert seen(judge(found)) == {"other_faults": 1}


@pytest.mark.parametrize("error", ["JournalError", "UsageError"])
def test_an_error_that_no_gateway_makes_is_seen(error: str) -> None:
    failed = line("error", 1.5, name="n1", by="send", error=error, words="no")
    assert seen(judge(account(INTEND, failed, taken(2.0), *HANDLED))) == {"other_faults": 1}
    fine = line("error", 1.5, name="n1", by="send", error="ConnectionLost", words="no")
    assert seen(judge(account(INTEND, fine, taken(2.0), *HANDLED))) == {}


def test_what_was_strange_is_a_fault() -> None:
    assert seen(judge(account(INTEND, taken(2.0), *HANDLED, strange=["it ended by itself"]))) == {"other_faults": 1}
