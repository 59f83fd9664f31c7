"""What agents wait for, as the commands list, find and answer it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from openclaw_client.cli.asked import ENDINGS, KEYS, approval_lines, decision_words, item_lines, item_of, time_left
from openclaw_client.cli.connect import connected
from openclaw_client.cli.converse import describe_change
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line, write
from openclaw_client.cli.report import complain
from openclaw_client.client.options import StateChange
from openclaw_client.errors.peer_text import harmless, one_line
from openclaw_client.runs.answering import AnswerOutcome
from openclaw_client.runs.events import (
    ApprovalEvent,
    ApprovalRequested,
    ApprovalResolved,
    QuestionAsked,
    QuestionClosed,
    QuestionEvent,
)
from openclaw_client.sync.client import GatewayClient
from openclaw_client.sync.events import BlockingEventStream
from openclaw_client.wire.approvals import LISTS, Approval, approvals_from
from openclaw_client.wire.questions import Question, questions_from

APPROVALS = ("operator.read", "operator.write", "operator.approvals")
"""What the other commands ask for, too."""
QUESTIONS = (*APPROVALS, "operator.questions")
"""Fewer would be approved anew with the next command."""

Pending = Approval | Question
Events = BlockingEventStream[ApprovalEvent] | BlockingEventStream[QuestionEvent]


def add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help="go on with what comes and how it ends, until Ctrl-C")


def list_approvals(client: GatewayClient) -> list[Approval]:
    """What is pending, of every kind that this gateway lists. Raises what `request` raises."""
    # Releases without any (2026.2.17) say that they don't know the first.
    listed = [name for name in LISTS if client.supports(name)] or list(LISTS)[:1]
    return [one for name in listed for one in approvals_from(client.request(name, {}), LISTS[name])]


def list_questions(client: GatewayClient) -> list[Question]:
    """The pending ones. Raises what `request` raises."""
    return questions_from(client.request("question.list", {}))


def find_approval(client: GatewayClient, ident: str) -> Approval | str:
    """The pending approval with this id; the id where there is none, or the gateway has no list."""
    if not any(map(client.supports, LISTS)):
        return ident
    return next((one for one in list_approvals(client) if one.id == ident), ident)


def find_question(client: GatewayClient, ident: str) -> Question | None:
    return next((one for one in list_questions(client) if one.id == ident), None)


def show(
    options: Options,
    kind: str,
    scopes: Sequence[str],
    listed: Callable[[GatewayClient], Sequence[Pending]],
    watched: Callable[[GatewayClient], Events],
) -> int:
    """The commands `approvals` and `questions`: kind is their name."""
    sessions = None if options.session is None else [options.session]
    if options.watch:
        with connected(options, sessions=sessions, scopes=scopes, answers=[kind]) as client:
            _watch(client, options, kind, watched)
        return ExitCode.OK
    with connected(options, sessions=sessions, scopes=scopes) as client:
        items = [item for item in listed(client) if _in_session(item, options)]
    for item in items:
        _show_pending(item, options)
    if options.json:
        json_line(kind, {"count": len(items)})
    elif not items:
        write("no agent waits for an answer\n")
    return ExitCode.OK


def give(options: Options, scopes: Sequence[str], act: Callable[[GatewayClient, str], AnswerOutcome], done: str) -> int:
    """The commands that answer: act() does it, done says what an answer that counts did. Returns the exit code."""
    assert options.ident is not None
    with connected(options, scopes=scopes) as client:
        outcome = act(client, options.ident)
    return _tell_outcome(options, outcome, done)


def _tell_outcome(options: Options, outcome: AnswerOutcome, done: str) -> int:
    code = ExitCode.OK if outcome.status == "applied" else ExitCode.FAILED
    if options.json:
        json_line("outcome", {"id": options.ident, **fields_of(outcome), "exit_code": int(code)})
    elif code is ExitCode.OK:
        write(f"{done}\n")
    if outcome.status == "already":
        decision = KEYS.get(outcome.decision or "", ("", one_line(outcome.decision or "")))[1]
        complain(f"answered before{f': {decision}' if decision else ''}")
    elif outcome.status == "gone":
        complain("nothing of this id waits for an answer: it is over, never was, or is not for this device")
    return code


def _watch(client: GatewayClient, options: Options, kind: str, watched: Callable[[GatewayClient], Events]) -> None:
    client.on_state_change(_tell)
    with watched(client) as events:
        try:
            if options.json:
                json_line("listening", {"names": [kind], "session": options.session})
            else:
                complain("listening; Ctrl-C ends this")
            for event in events:
                if options.json:
                    json_line(event.type, fields_of(event))
                elif isinstance(event, ApprovalRequested | QuestionAsked):
                    _show_pending(item_of(event), options)
                else:
                    write(_ended(event))
        except KeyboardInterrupt:
            pass


def _tell(change: StateChange) -> None:
    text = describe_change(change)
    if text:
        complain(text)


def _ended(event: ApprovalResolved | QuestionClosed) -> str:
    return f"{one_line(item_of(event).id)} {ENDINGS[event.status].removeprefix('answered elsewhere: ')}\n\n"


def _show_pending(item: Pending, options: Options) -> None:
    if options.json:
        json_line("approval" if isinstance(item, Approval) else "question", fields_of(item))
        return
    who = [f"agent {item.agent_id}" if item.agent_id else "", f"session {item.session_key}" if item.session_key else ""]
    left = "" if isinstance(item, Approval) else time_left(item)
    lines = [" ".join(part for part in (one_line(item.id), *map(one_line, who), left) if part)]
    if isinstance(item, Approval):
        lines += [line.text for line in approval_lines(item)[1:]]
        lines.append(f"  answers: {', '.join(decision_words(item))}")
    else:
        for entry in item.items:
            lines += [line.text for line in item_lines(entry, f"{entry.id}:" if len(item.items) > 1 else "")]
    write(harmless("\n".join(lines)) + "\n\n")


def _in_session(item: Pending, options: Options) -> bool:
    """Gateways name the agent, too: "agent:main:work" is the session "work"."""
    return options.session is None or f":{item.session_key}".endswith(f":{options.session}")
