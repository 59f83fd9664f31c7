"""Whether anything was lost or doubled, by what everybody wrote down. Pure.

What is wrong has a column of its own in the table and must be zero; beside it stands what docs/durable.md says may
happen, with how often it did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tests.crash.log import Line
from tests.crash.words import OWN, name_of, own_message, reply_to

NOTED = 1.0
"""Seconds within which the end of a handler is written down."""
STORED = 2.0
"""Seconds for which a reply that was taken is listed again to who died over it."""
NAMELESS = ("2026.2.17", "2026.4.15")
"""Releases whose messages have one id live and another in the history."""
DELIVERIES = 5
"""After which a message is dead."""

FAULTS = (
    "replies_lost",
    "replies_wrong",
    "replies_twice",
    "runs_doubled",
    "own_as_messages",
    "messages_lost",
    "messages_doubled",
    "other_faults",
)
ALLOWED = (
    "told_lost",
    "told_failed",
    "replies_again",
    "messages_again_killed",
    "messages_again_raised",
    "messages_again_other_id",
    "messages_dead",
    "gone_at_gateway",
)


@dataclass(frozen=True, slots=True)
class Restart:
    """Of the gateway. hard: SIGKILL."""

    begin: float
    end: float
    hard: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A message that the application has to be told of; certain: the gateway said that it has it."""

    name: str
    text: str
    at: float
    certain: bool


@dataclass(slots=True)
class Account:
    """What was written down.

    Attributes:
        seed: What the application's messages are made of.
        real: Whether it was a real gateway, which may fail runs of its own accord.
        lines: Of the application's log.
        kills: When the application was dead, by SIGKILL.
        asked: How often the model was asked what.
        histories: The texts that the gateway has at the end.
        dead: The ids of messages that the journal gave up.
        strange: What else was seen and may not be.
    """

    release: str
    seed: str
    lines: list[Line]
    real: bool = False
    kills: list[float] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    asked: Mapping[str, int] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    histories: list[str] = field(default_factory=list)
    dead: frozenset[str] = frozenset()
    strange: list[str] = field(default_factory=list)

    def died_between(self, begin: float, end: float) -> bool:
        """Whether the application did."""
        return any(begin <= at <= end for at in self.kills)

    def restarted_between(self, begin: float, end: float) -> bool:
        """Whether the gateway was away at any time of it."""
        return any(one.begin <= end and begin <= one.end for one in self.restarts)

    def of(self, *what: str) -> list[Line]:
        return [line for line in self.lines if line["what"] in what]


@dataclass(slots=True)
class Verdict:
    """How often what was seen, and what is wrong, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, column: str, words: str) -> None:
        self.counts[column] += 1
        self.faults.append(f"{column}: {words}")


def judge(account: Account) -> Verdict:
    """What came of it."""
    verdict = Verdict()
    _judge_replies(account, verdict)
    _judge_runs(account, verdict)
    _judge_messages(account, verdict)
    for line in account.of("error"):
        if line["error"] in ("JournalError", "UsageError"):
            verdict.fault("other_faults", f"{line['name']}: {line['error']}: {line['words']}")
    for words in account.strange:
        verdict.fault("other_faults", words)
    return verdict


# Replies.


def _judge_replies(account: Account, verdict: Verdict) -> None:
    meant: dict[str, float] = {}
    for line in account.of("intend"):
        meant.setdefault(line["name"], line["at"])
    ends: dict[str, list[Line]] = defaultdict(list)
    for line in account.of("taken", "told"):
        ends[line["name"]].append(line)
    last = account.of("settled")
    listed = {run["name"] for run in last[-1]["runs"]} if last else set()
    verdict.counts["sent"] = len(meant)
    for name in meant.keys() | ends.keys():
        if name not in meant:
            verdict.fault("other_faults", f"{name} came to an end and was never sent: {ends[name]}")
        elif not ends[name]:
            words = "still in the journal's list" if name in listed else "no reply, and not in the journal's list"
            verdict.fault("other_faults" if name in listed else "replies_lost", f"{name}: {words}")
        else:
            _judge_ends(account, verdict, name, meant[name], ends[name])
            if name in listed:
                verdict.fault("other_faults", f"{name}: in the journal's list, although {ends[name][-1]['what']}")


def _judge_ends(account: Account, verdict: Verdict, name: str, meant: float, ends: list[Line]) -> None:
    """What the application got under one name."""
    for before, after in pairwise(ends):
        if account.died_between(before["at"], min(before["at"] + STORED, after["at"])):
            verdict.counts["replies_again"] += 1
        else:
            verdict.fault("replies_twice", f"{name}: {_shown(before)}, then {_shown(after)}")
    for end in ends:
        restarted = account.restarted_between(meant, end["at"])
        if end["what"] == "told":
            if restarted and end["error"] in ("RunLost", "OutcomeUnknown"):
                verdict.counts["told_lost"] += end is ends[0]
            elif end["error"] == "RunFailed" and account.real and not account.asked.get(name):
                # 2026.9.6 fails a turn that something was injected behind before it began, 2026.4.15 one that finds the
                # lock of a process that was killed.
                verdict.counts["told_failed"] += end is ends[0]
            else:
                verdict.fault("replies_lost", f"{name}: {_shown(end)}, restarted: {restarted}")
        elif end["state"] == "final" and end["text"] == reply_to(own_message(name, account.seed)):
            verdict.counts["whole"] += end is ends[0]
        elif end["state"] == "final" or not restarted:
            verdict.fault("replies_wrong", f"{name}: {_shown(end)}, restarted: {restarted}")
        else:
            # A gateway that is told to end stops its runs.
            verdict.counts["told_lost"] += end is ends[0]


def _shown(line: Line) -> str:
    words = f"{line['error']}: {line['words']}" if line["what"] == "told" else f"{line['state']} {line['text']!r}"
    return f"at {line['at']:.3f} in life {line['life']} by {line['by']} {line['what']} {words}"


def _judge_runs(account: Account, verdict: Verdict) -> None:
    whole = {line["name"] for line in account.of("taken") if line["state"] == "final"}
    for name, times in account.asked.items():
        if name.startswith(OWN) and times > 1:
            verdict.fault("runs_doubled", f"{name}: the model was asked {times} times")
    for name in whole:
        if not account.asked.get(name):
            verdict.fault("replies_wrong", f"{name}: a reply that no model gave")


# Messages.


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the handler. end: when it returned; None where it raised or was killed."""

    id: str
    delivery: int
    text: str
    life: int
    begin: float
    end: float | None = None
    raised: bool = False

    def __str__(self) -> str:
        came = "returned" if self.end is not None else "raised" if self.raised else "killed"
        return f"{self.id} in life {self.life} at {self.begin:.3f}, delivery {self.delivery}, {came}"


def attempts_of(lines: Iterable[Line]) -> list[Attempt]:
    """Every call of the handler, in their order."""
    found: dict[tuple[int, str, int], Attempt] = {}
    order: list[tuple[int, str, int]] = []
    for line in lines:
        if line["what"] not in ("begin", "raise", "end"):
            continue
        key = (line["life"], line["id"], line["delivery"])
        if line["what"] == "begin":
            key = key if key not in found else (*key[:2], -len(order))
            order.append(key)
            found[key] = Attempt(line["id"], line["delivery"], line["text"], line["life"], line["at"])
        elif line["what"] == "end":
            found[key] = replace(found[key], end=line["at"])
        else:
            found[key] = replace(found[key], raised=True)
    return [found[key] for key in order]


def _judge_messages(account: Account, verdict: Verdict) -> None:
    known = {said.text: said for said in account.said}
    tried: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts_of(account.lines):
        if (name_of(attempt.text) or "").startswith(OWN):
            verdict.fault("own_as_messages", f"{name_of(attempt.text)}: {attempt}")
        elif attempt.text in known:
            tried[attempt.text].append(attempt)
        else:
            # A gateway that comes back from a crash says so in runs of its own.
            verdict.counts["others"] += 1
    verdict.counts["said"] = sum(said.certain for said in account.said)
    for text, said in known.items():
        for before, after in pairwise(tried[text]):
            _judge_again(account, verdict, said, before, after)
        if not any(attempt.end is not None for attempt in tried[text]):
            _judge_missing(account, verdict, said, tried[text])


def _judge_again(account: Account, verdict: Verdict, said: Said, before: Attempt, after: Attempt) -> None:
    """Whether a message may have come once more."""
    ended = before.end if before.end is not None else after.begin
    if before.id != after.id:
        fits = account.release in NAMELESS and account.died_between(said.at, after.begin)
        column = "messages_again_other_id" if fits else "messages_doubled"
    elif after.delivery <= before.delivery:
        column = "messages_doubled"
    elif before.raised:
        column = "messages_again_raised"
    elif account.died_between(before.begin, min(ended + NOTED, after.begin)):
        column = "messages_again_killed"
    else:
        column = "messages_doubled"
    if column in FAULTS:
        verdict.fault(column, f"{said.name}: {before}, then {after}")
    else:
        verdict.counts[column] += 1


def _judge_missing(account: Account, verdict: Verdict, said: Said, tried: list[Attempt]) -> None:
    """Why no handler has returned for a message."""
    if any(attempt.id in account.dead for attempt in tried):
        most = max(attempt.delivery for attempt in tried)
        if most >= DELIVERIES - 1:
            verdict.counts["messages_dead"] += 1
        else:
            verdict.fault("messages_lost", f"{said.name}: given up at delivery {most}")
    elif said.certain and (said.text in account.histories or not _ended_hard_after(account, said)):
        verdict.fault("messages_lost", f"{said.name}: said at {said.at:.3f}, {[str(one) for one in tried]}")
    elif said.certain:
        verdict.counts["gone_at_gateway"] += 1


def _ended_hard_after(account: Account, said: Said) -> bool:
    """Whether a gateway may have lost it that had it in its memory alone."""
    return any(one.hard and one.end >= said.at for one in account.restarts)
