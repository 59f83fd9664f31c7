"""`answer`: answer what an agent asks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from openclaw_client.cli.input import read_stdin
from openclaw_client.cli.options import Options
from openclaw_client.cli.pending import QUESTIONS, find_question, give
from openclaw_client.errors import UsageError
from openclaw_client.runs.answering import AnswerOutcome
from openclaw_client.sync.client import GatewayClient
from openclaw_client.wire.questions import Question

HELP = """\
answer a question of an agent
`questions` tells the ids. An option is given as it is written there. Code 1
where somebody else was quicker, or it is over."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ident", metavar="ID", help="the question")
    parser.add_argument(
        "texts",
        nargs="+",
        metavar="TEXT",
        help="the answer, several where several may be chosen; ITEM=TEXT for each item where several things are asked; "
        '"-" reads it from stdin, where no other user of this machine sees it',
    )


def run(options: Options) -> int:
    texts = [read_stdin()] if options.texts == ["-"] else options.texts

    def answer(client: GatewayClient, ident: str) -> AnswerOutcome:
        question = find_question(client, ident)
        # What is not listed is over, but that is for the gateway to say.
        return client.answer(question or ident, answers_by_item(texts, question))

    return give(options, QUESTIONS, answer, "answered")


def answers_by_item(texts: Sequence[str], question: Question | None) -> dict[str, list[str]]:
    """The answers by the items' ids. question: None where nothing is known of it. Raises UsageError, which quotes no
    answer."""
    items = [] if question is None else question.items
    if len(items) == 1 and not all(text.startswith(f"{items[0].id}=") for text in texts):
        return {items[0].id: list(texts)}
    answers: dict[str, list[str]] = {}
    for text in texts:
        name, equals, answer = text.partition("=")
        if not equals and question is None:
            name, answer = "answer", text
        elif not equals or (question is not None and name not in {item.id for item in items}):
            raise UsageError(
                message=f"{len(items)} things are asked, and one of the answers names none of them; nothing was sent",
                remedy=f"Write {' '.join(f'{item.id}=TEXT' for item in items)}",
            )
        answers.setdefault(name, []).append(answer)
    left = [item.id for item in items if item.id not in answers]
    if left:
        raise UsageError(
            message=f"there is no answer to {', '.join(left)}; nothing was sent",
            remedy="Answer all items at once, or `skip` the question",
        )
    return answers
