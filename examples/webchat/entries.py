"""What a page shows: entries, how the events of a run change them, and how the history is laid under them.

Pure: no clock, no connection. A change is the name of an event for the page and its data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from examples.webchat import words
from openclaw_client import (
    AgentFile,
    ApprovalRequested,
    ApprovalResolved,
    HistoryMessage,
    ProactiveMessage,
    QuestionAsked,
    QuestionClosed,
    Reconnecting,
    Resumed,
    RunAborted,
    RunCompleted,
    RunEvent,
    RunStarted,
    RunStatus,
    SideResult,
    TextAppended,
    TextReplaced,
    ThinkingAppended,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
)

State = Literal["waiting", "running", "final", "aborted", "failed"]
Change = tuple[str, dict[str, Any]]

SHOWN: Final = 4000
"""Characters of a tool's arguments or result: a person reads no more of it in a chat, and tools return megabytes."""

# 2026.2.17 shows a user's text as the model got it: with metadata before it, and a time stamp.
_WRAPPER = re.compile(r"\AConversation info \(untrusted metadata\):.*?```\n\n\[[^\]\n]*\] ", re.DOTALL)


@dataclass(slots=True)
class Tool:
    """One call of a tool, as far as it has come."""

    id: str
    name: str
    args: str = ""
    result: str = ""
    state: Literal["running", "done", "failed"] = "running"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that came with a message. size: its bytes, None where the gateway does not say."""

    id: str
    name: str
    size: int | None


@dataclass(slots=True)
class Entry:
    """One message. at: milliseconds. source: what a message that nobody asked for came from. run_id: "" for none.

    note: what is said in the place of what is not shown. problem: why there is no (whole) reply; retry: whether sending
    again makes sense.
    """

    id: str
    role: Literal["user", "assistant"]
    text: str = ""
    state: State = "final"
    at: float | None = None
    source: str = ""
    status: str = ""
    thinking: str = ""
    tools: list[Tool] = field(default_factory=list)
    note: str = ""
    problem: str = ""
    retry: bool = False
    run_id: str = ""
    files: list[Sent] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether something is still to come."""
        return self.state in ("waiting", "running")

    def reads_as(self, other: Entry) -> bool:
        """Whether both say the same; what is not shown counts where there are no words."""
        return self.text == other.text and bool(self.text or self.note == other.note)

    def begin_again(self) -> None:
        self.state, self.retry = "waiting", False
        self.problem = self.note = self.text = self.thinking = ""
        self.tools, self.files = [], []

    def shown(self) -> dict[str, Any]:
        """As the page gets it."""
        return asdict(self)


def reply_entries(run_id: str, text: str, at: float) -> tuple[Entry, Entry]:
    """A message that is about to be sent, and the place for its reply."""
    question = Entry(f"{run_id}:user", "user", text, at=at, run_id=run_id)
    return question, Entry(run_id, "assistant", state="waiting", at=at, run_id=run_id)


def with_files(entry: Entry, files: Iterable[AgentFile]) -> Change | None:
    """Show which files came with a reply; what the page must be told, None for nothing."""
    listed = [Sent(file.artifact_id, file.name or file.mime_type, file.size) for file in files]
    if not listed:
        return None
    entry.files = listed
    if entry.note == words.SILENT:
        entry.note = ""
    return "entry", entry.shown()


def proactive_entry(message: ProactiveMessage, at: float) -> Entry:
    note = words.not_shown(message.content)
    return Entry(message.id, "assistant", message.text, at=at, source=message.kind, note=note, run_id=message.run_id)


def waits(entry: Entry, waiting: bool) -> Change | None:
    """Show that the reply waits for another run, or no longer; what the page must be told, None for nothing."""
    if waiting == (entry.status == words.WAITS):
        return None
    entry.status = words.WAITS if waiting else ""
    return "status", {"id": entry.id, "status": entry.status}


def change(entry: Entry, event: RunEvent) -> Change | None:
    """Let an event of the run change the entry of its reply; what the page must be told, None for nothing."""
    if (status := _status(event)) is not None:
        entry.status = status
        return "status", {"id": entry.id, "status": status}
    match event:
        case TextAppended(text=text):
            entry.text += text
            return "text", {"id": entry.id, "text": text}
        case ThinkingAppended(text=text):
            entry.thinking += text
            return "thinking", {"id": entry.id, "text": text}
        case ToolStarted() | ToolUpdated() | ToolFinished():
            return "tool", {"id": entry.id, "tool": asdict(_tool(entry, event))}
        case RunStarted():
            entry.state = "running"
        case TextReplaced(text=text):
            entry.text = text
        case SideResult(text=text):
            entry.text = f"{entry.text}\n\n{text}".lstrip()
        case RunCompleted(text=text, content=content):
            # What was aside of the conversation is not in the final text.
            entry.state, entry.status, entry.text = "final", "", text or entry.text
            entry.note = words.not_shown(content) or ("" if entry.text else words.SILENT)
        case RunAborted(text=text, content=content):
            entry.state, entry.status, entry.text, entry.note = "aborted", "", text, words.not_shown(content)
        case _:
            # A failed run among them: `result()` raises it, with what is known.
            return None
    return "entry", entry.shown()


def _status(event: RunEvent) -> str | None:
    """What the run is about from now on; None for an event that says nothing of it."""
    match event:
        case RunStatus(phase=phase):
            return phase.replace("_", " ")
        case Reconnecting():
            return "waiting for the gateway"
        case ApprovalRequested() | QuestionAsked():
            return words.ASKS
        case Resumed() | ApprovalResolved() | QuestionClosed():
            return ""
        case _:
            return None


def _tool(entry: Entry, event: ToolStarted | ToolUpdated | ToolFinished) -> Tool:
    tool = next((known for known in entry.tools if known.id == event.call_id), None)
    if tool is None:
        tool = Tool(event.call_id, event.name)
        entry.tools.append(tool)
    match event:
        case ToolStarted(args=args):
            tool.args = _readable(args)
        case ToolUpdated(data=data):
            tool.result = _readable(data)
        case ToolFinished(result=result, is_error=is_error):
            tool.result, tool.state = _readable(result), "failed" if is_error else "done"
    return tool


def _readable(value: Any) -> str:
    """Arguments and results for a person: the text within a result's blocks, else JSON; cut."""
    blocks = value.get("content") if isinstance(value, dict) else None
    if isinstance(blocks, list):
        value = "\n".join(str(block["text"]) for block in blocks if isinstance(block, dict) and "text" in block)
    if value is None or value == {}:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


# History.


def history_entries(messages: Iterable[HistoryMessage]) -> list[Entry]:
    """The rows of a history that are part of a conversation. Several rows of one run are one reply."""
    entries: dict[str, Entry] = {}
    for place, row in enumerate(messages):
        text = _WRAPPER.sub("", row.text) if row.role == "user" else row.text
        note = words.not_shown(row.content)
        if row.role not in ("user", "assistant") or not (text or note):
            continue
        run_id = row.run_id or ""
        ident = f"{run_id}:user" if run_id and row.role == "user" else run_id or row.id or f"row-{place}"
        known = entries.get(ident)
        if known is not None:
            known.text = "\n\n".join(part for part in (known.text, text) if part)
            known.note = " ".join(part for part in (known.note, note) if part)
        else:
            role: Literal["user", "assistant"] = "user" if row.role == "user" else "assistant"
            entries[ident] = Entry(ident, role, text, at=row.timestamp, note=note, run_id=run_id)
    return list(entries.values())


def settled(history: list[Entry], known: Iterable[Entry]) -> list[Entry]:
    """The history up to the first message whose reply is still open: from there on, the run's own events say more."""
    open_runs = {entry.run_id for entry in known if entry.open}
    waiting = [entry for entry in known if entry.role == "user" and entry.run_id in open_runs]
    for place, row in enumerate(history):
        if any(_same(entry, row) for entry in waiting):
            return history[:place]
    return history


def merge(known: Sequence[Entry], history: Sequence[Entry]) -> list[Entry]:
    """Both in one order, each message once; where both have it, the known one, which says more, stays.

    What is only in the history came while nobody listened. What is only known was never answered, or is older than
    the history's first row.
    """
    merged: list[Entry] = []
    left = list(known)
    for row in history:
        place = next((place for place, entry in enumerate(left) if _same(entry, row)), None)
        if place is None:
            merged.append(row)
        else:
            merged += left[: place + 1]
            del left[: place + 1]
    return merged + left


def _same(entry: Entry, row: Entry) -> bool:
    """Releases before 2026.9 name no run in an assistant's row, those before 2026.6 in no row: the words must do."""
    if entry.role != row.role:
        return False
    if entry.id == row.id or (row.run_id and entry.run_id == row.run_id):
        return True
    return not row.run_id and entry.reads_as(row)
