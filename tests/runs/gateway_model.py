"""A gateway as far as one session goes, made of what real ones were seen to do.

Uses nothing of the code under test but the mappings of the wire. One process at a time; its rows outlive it. What each
message got, in truth, stands in `truths`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

KEY_SECONDS = 300.0
"""For so long a gateway knows the key of a run that has ended."""


@dataclass(frozen=True)
class Style:
    """What releases do differently.

    early: the user's row stands there from the beginning of the turn. late_by: seconds between the end of a run and its
    rows. user_names, answer_names: whose id rows carry; user_names may be "text" (2026.2.17). activity: what a page
    tells, "none", "flight" (the latest run alone), "flag" (busy, with an empty list), "bare" (the same without a list),
    "ids". meets: what becomes of a message that meets a run. tail: seconds for which the session stays busy behind the
    end of a run. abort: how a stopped run ends on the wire. silent_row: a silent answer leaves an empty row.
    """

    name: str = "9.6"
    protocol: int = 4
    version: str = "2026.9.6"
    boots: bool = True
    early: bool = True
    late_by: float = 0.0
    user_names: str = "key"
    answer_names: bool = True
    row_ids: bool = True
    activity: str = "ids"
    pending: bool = True
    meets: str = "deferred"
    tail: float = 0.0
    abort: str = "event"
    silent_row: bool = False
    wordless_late: bool = False
    tells_failure: bool = True
    skew: float = 0.0


@dataclass
class Truth:
    """What became of one message. own: what the model said to it. wholes: texts that are the whole answer, together:
    the messages whose words may stand in it. run: in which it was answered."""

    key: str
    text: str
    # new, waiting, running; done, silent, failed; aborted, killed (with a run that it was steered into); crashed
    state: str = "new"
    own: str = ""
    wholes: set[str] = field(default_factory=set)
    together: set[str] = field(default_factory=set)
    run: str | None = None
    taken_at: float = 0.0
    # How the run ended that went on for messages steered into it; the rows tell of its own part alone.
    later: str = ""
    # Whether its process died before the rows were written.
    unwritten: bool = False


@dataclass
class Part:
    """What a run says to one or more messages."""

    keys: list[str]
    said: str = ""
    row: dict[str, Any] | None = None


@dataclass
class Run:
    id: str
    parts: list[Part]
    seq: int = 0
    owner: str | None = None

    @property
    def text(self) -> str:
        return "\n\n".join(part.said for part in self.parts if part.said)


class Process:
    """What is in a gateway's memory."""

    def __init__(self, number: int, born: float) -> None:
        self.boot_id, self.born = f"boot-{number}", born
        self.keys: dict[str, tuple[str, float]] = {}
        self.active: Run | None = None
        self.waiting: list[str] = []
        self.cancelled: list[str] = []
        self.busy_until = 0.0
        # Rows and wordless finals that are to come: (when, what).
        self.rows: list[tuple[float, list[dict[str, Any]]]] = []


class Gateway:
    """`events` holds what goes to every connection: ("chat" or "agent", payload)."""

    def __init__(self, style: Style, now: float) -> None:
        self.style, self.now = style, now
        self.rows: list[dict[str, Any]] = []
        self.truths: dict[str, Truth] = {}
        self.executions: Counter[str] = Counter()
        self.interrupted: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.crashes: list[float] = []
        self._numbers = 0
        self.process = Process(0, now - 100.0)

    # What clients ask for.

    def send(self, key: str, text: str) -> dict[str, Any]:
        """chat.send."""
        process, style = self.process, self.style
        known = process.keys.get(key)
        if known is not None and (known[0] == "in_flight" or self.now < known[1] + KEY_SECONDS):
            return {"runId": key, "status": known[0]}
        self.truths.setdefault(key, Truth(key, text, together={text}, taken_at=self.now))
        process.keys[key] = ("in_flight", self.now)
        truth = self.truths[key]
        if process.active is None and not process.waiting and self.now >= process.busy_until:
            self._begin(key, [key])
            return {"runId": key, "status": "started"}
        truth.state = "waiting"
        run = process.active
        if style.meets == "steered" and run is not None and run.text:
            run.parts.append(Part([key]))
        else:
            process.waiting.append(key)
        if style.meets != "queued" and not style.wordless_late:
            self._wordless(key)
        return {"runId": key, "status": "started"}

    def abort(self, key: str) -> tuple[str, ...]:
        """chat.abort of a message's run, or of the message that waits."""
        process, run = self.process, self.process.active
        if key in process.waiting:
            process.waiting.remove(key)
            process.cancelled.append(key)
            self.truths[key].state = "aborted"
            process.keys[key] = ("timeout", self.now)
            return (key,)
        if run is None or run.id != key:
            return ()
        self._end_aborted(run)
        self.advance(self.now)
        return (key,)

    def page(self) -> dict[str, Any]:
        """chat.history."""
        process, style = self.process, self.style
        page: dict[str, Any] = {"messages": [dict(row) for row in self.rows], "sessionId": "s-1"}
        if style.protocol == 4:
            page["hasMore"] = False
        run = process.active
        info: dict[str, Any] = {}
        busy = run is not None or self.now < process.busy_until
        if style.activity in ("flag", "bare", "ids"):
            info["hasActiveRun"] = busy
        if style.activity == "flag":
            info["activeRunIds"] = []
        if style.activity == "ids":
            info["activeRunIds"] = [run.id] if run is not None else []
        if run is not None and style.activity in ("flight", "bare", "ids"):
            page["inFlightRun"] = {"runId": run.id, "text": run.text}
        if style.meets == "queued" and process.waiting and style.activity == "flight":
            page["inFlightRun"] = {"runId": process.waiting[-1], "text": ""}
        if info:
            page["sessionInfo"] = info
        if style.pending:
            steered = run.parts[self._at(run) + 1 :] if run is not None else []
            states = [(key, "queued") for key in process.waiting]
            states += [(key, "queued") for part in steered for key in part.keys]
            states += [(key, "cancelled") for key in process.cancelled]
            states += [(key, "interrupted") for key in self.interrupted]
            page["pendingInputs"] = {"items": [{"runId": key, "state": state} for key, state in states]}
        return page

    # What its model does.

    def speak(self) -> bool:
        """The model says another word to the message that it is at."""
        run = self.process.active
        if run is None:
            return False
        part = run.parts[self._at(run)]
        words = part.said.count("<")
        name = self.truths[part.keys[0]].text
        part.said += f"<{name}.{words}>"
        for key in part.keys:
            self.truths[key].own = part.said
        self._chat(run, "delta", run.text)
        return True

    def end(self, how: str = "done") -> bool:
        """The model stops: "done" (or "silent", where it has said nothing), or "failed"."""
        run = self.process.active
        if run is None:
            return False
        at = self._at(run)
        part = run.parts[at]
        if how == "failed":
            self._end_failed(run)
            self.advance(self.now)
            return True
        if not part.said and (at or at + 1 < len(run.parts)):
            self.speak()
        for key in part.keys:
            self.truths[key].state = "done" if part.said else "silent"
        if at + 1 < len(run.parts):
            self._write([row for row in (part.row, self._answer(run, part)) if row is not None])
            for key in part.keys:
                self.truths[key].wholes.add(part.said)
            part.keys, part.row = [], None
            self._whole(run, run.text)
            self._take_up(run, run.parts[at + 1])
            return True
        self._end_well(run, part)
        self.advance(self.now)
        return True

    def start_again(self) -> None:
        """The run starts again, for another model."""
        if self.process.active is not None:
            self._agent(self.process.active, {"phase": "start"})

    def crash(self) -> None:
        """The process dies, and with it all but the rows."""
        process = self.process
        lost = list(process.waiting)
        if process.active is not None:
            lost += [key for part in process.active.parts for key in part.keys]
        for key in lost:
            self.truths[key].state = "crashed"
        for _, rows in process.rows:
            # Their answer was told and never written down: what is read later knows nothing of it.
            for row in rows:
                for key in row.get("_keys", ()):
                    self.truths[key].unwritten = True
        self.interrupted += process.waiting
        self._numbers += 1
        self.events.clear()
        self.crashes.append(self.now)
        self.process = Process(self._numbers, self.now)

    def advance(self, now: float) -> None:
        """Let time pass: rows are written, and what waits is taken up."""
        while True:
            due = [at for at, _ in self.process.rows if at <= now]
            process = self.process
            if process.waiting and process.active is None and process.busy_until <= now:
                due.append(max(self.now, process.busy_until))
            if not due:
                break
            self.now = max(self.now, min(due))
            self._step()
        self.now = now

    # Inside.

    def _step(self) -> None:
        process = self.process
        for entry in [entry for entry in process.rows if entry[0] <= self.now]:
            process.rows.remove(entry)
            self.rows += entry[1]
        if process.waiting and process.active is None and process.busy_until <= self.now:
            keys = [process.waiting.pop(0)]
            if self.style.meets == "collected":
                keys += process.waiting
                process.waiting = []
            self._wordless_at_last(keys)
            if self.style.meets in ("queued", "second"):
                self._begin(keys[0], keys, announced=self.style.meets == "queued")
            else:
                self._numbers += 1
                self._begin(f"run-{self._numbers}", keys, announced=True)

    def _begin(self, run_id: str, keys: list[str], *, announced: bool = True) -> None:
        run = Run(run_id, [Part(keys)], owner=keys[0])
        self.process.active = run
        for key in keys:
            self.executions[key] += 1
            self.truths[key].state, self.truths[key].run = "running", run_id
        together = set().union(*(self.truths[key].together for key in keys))
        for key in keys:
            self.truths[key].together |= together
        if announced:
            self._agent(run, {"phase": "start"})
        elsewhere = run_id != keys[0]
        run.parts[0].row = self._question(keys)
        if self.style.early or elsewhere:
            self._write([run.parts[0].row])
            run.parts[0].row = None

    def _take_up(self, run: Run, part: Part) -> None:
        self._wordless_at_last(part.keys)
        for key in part.keys:
            self.executions[key] += 1
            self.truths[key].state, self.truths[key].run = "running", run.id
        row = self._question(part.keys)
        if self.style.answer_names:
            row["__openclaw"]["steerTargetRunId"] = run.id
        self._write([row])
        owner = self.truths.get(run.owner or "")
        if owner is not None:
            owner.together |= {self.truths[key].text for key in part.keys}

    def _at(self, run: Run) -> int:
        """The part that the model is at: the first one whose messages are open."""
        return next(index for index, part in enumerate(run.parts) if part.keys)

    def _end_well(self, run: Run, part: Part) -> None:
        process, text = self.process, run.text
        rows = [part.row] if part.row is not None else []
        if part.said or self.style.silent_row:
            rows.append(self._answer(run, part))
        for key in part.keys:
            self.truths[key].wholes.add(part.said)
        self._whole(run, text)
        self._agent(run, {"phase": "end"})
        self._close(run, rows, part.keys)
        self._chat(run, "final", text or None)
        process.keys[run.id] = ("ok", self.now)

    def _whole(self, run: Run, text: str) -> None:
        owner = self.truths.get(run.owner or "")
        if owner is not None:
            # Steered runs: the final has all, rows that name nobody give the first part.
            owner.wholes |= {text, run.parts[0].said}

    def _end_aborted(self, run: Run) -> None:
        at, style = self._at(run), self.style
        part = run.parts[at]
        for index, other in enumerate(run.parts):
            self._wordless_at_last([key for key in other.keys if key != run.id])
            for key in other.keys:
                self.truths[key].state = "aborted" if index == at else "killed"
        rows = [part.row] if part.row is not None else []
        if part.said or style.abort == "silent":
            rows.append(self._answer(run, part, "aborted"))
        owner = self.truths.get(run.owner or "")
        if owner is not None and run.owner not in part.keys:
            owner.later = "aborted"
        self._whole(run, run.text)
        self._close(run, rows, part.keys)
        if style.abort in ("event", "both"):
            self._chat(run, "aborted", run.text or None, stopReason="rpc")
        self._agent(run, {"phase": "end", "aborted": True})
        if style.abort == "both":
            self._chat(run, "final", None)
        if style.abort == "final":
            self._chat(run, "final", run.text or None)
        self.process.keys[run.id] = ("timeout", self.now)

    def _end_failed(self, run: Run) -> None:
        at = self._at(run)
        part = run.parts[at]
        for index, other in enumerate(run.parts):
            self._wordless_at_last([key for key in other.keys if key != run.id])
            for key in other.keys:
                self.truths[key].state = "failed" if index == at else "killed"
        owner = self.truths.get(run.owner or "")
        if owner is not None and run.owner not in part.keys:
            owner.later = "failed"
        rows = [part.row] if part.row is not None else []
        rows.append(self._answer(run, part, "error") | {"errorMessage": "the model failed"})
        self._agent(run, {"phase": "error", "error": "the model failed"})
        self._close(run, rows, part.keys)
        if self.style.tells_failure:
            # 2026.4.15 and 2026.6.1 send no chat event of a run that failed.
            self._chat(run, "error", None, errorMessage="the model failed")
        self.process.keys[run.id] = ("error", self.now)

    def _close(self, run: Run, rows: list[dict[str, Any]], keys: list[str]) -> None:
        process = self.process
        process.active, process.busy_until = None, self.now + self.style.tail
        if self.style.late_by:
            if rows:
                rows[-1]["_keys"] = list(keys)
                process.rows.append((self.now + self.style.late_by, rows))
        else:
            self.rows += rows
        if self.style.wordless_late:
            self._wordless_at_last(process.waiting)

    def _wordless_at_last(self, keys: list[str]) -> None:
        """The wordless finals that did not go out at once."""
        for key in keys:
            if self.style.meets != "queued" and self.process.keys[key][0] == "in_flight":
                self._wordless(key)

    def _wordless(self, key: str) -> None:
        """The run of a message that waits ends without words."""
        self.events.append(("chat", {"runId": key, "sessionKey": "s", "seq": 1, "state": "final"}))
        self.process.keys[key] = ("ok", self.now)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        for _, late in self.process.rows:
            self.rows += late
        self.process.rows.clear()
        self.rows += rows

    def _question(self, keys: list[str]) -> dict[str, Any]:
        texts = [self.truths[key].text for key in keys]
        meta: dict[str, Any] = {"id": self._row_id()} if self.style.row_ids else {}
        text = texts[0]
        if len(keys) > 1:
            meta["idempotencyKey"] = f"followup-collect:{keys[0]}"
            text = "".join(f"\n---\nQueued #{number}\n{one}" for number, one in enumerate(texts, 1))
        elif self.style.user_names == "key":
            meta["idempotencyKey"] = f"{keys[0]}:user"
        elif self.style.user_names == "text":
            text = f'{{"message_id": "{keys[0]}"}} {text}'
        stamp = (self.now + self.style.skew) * 1000
        return {"role": "user", "content": text, "timestamp": stamp, "__openclaw": meta}

    def _answer(self, run: Run, part: Part, stop: str = "stop") -> dict[str, Any]:
        meta: dict[str, Any] = {"id": self._row_id()} if self.style.row_ids else {}
        if self.style.answer_names:
            meta["runId"] = run.id
        content = [{"type": "text", "text": part.said}]
        return {"role": "assistant", "content": content, "stopReason": stop, "__openclaw": meta}

    def _row_id(self) -> str:
        self._numbers += 1
        return f"row-{self._numbers}"

    def _chat(self, run: Run, state: str, text: str | None, **more: Any) -> None:
        run.seq += 1
        payload = {"runId": run.id, "sessionKey": "s", "seq": run.seq, "state": state, **more}
        if text is not None:
            payload["message"] = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        self.events.append(("chat", payload))

    def _agent(self, run: Run, data: dict[str, Any]) -> None:
        run.seq += 1
        payload = {"runId": run.id, "sessionKey": "s", "seq": run.seq, "stream": "lifecycle", "data": data}
        self.events.append(("agent", payload))
