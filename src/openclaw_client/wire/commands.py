"""Which messages are meant for the run that is under way: stop words and commands.

A gateway looks at the text of every message of chat.send. A stop word ends what runs in the session; a command is
answered by the gateway itself. Both have to reach it while the run goes on, so that they do not wait for their turn.
All other messages do, also those that only look alike: "/etc/hosts — what is this file for?" is no command.

Which words and names count depends on the release. The tables are those of the seven releases named in them. Of a
release between two of them it is not known since when it has what the later one has, or how long it has what the
earlier one had: only what both have counts there. A release behind the last is taken for the last, and one before the
first for the first.

A gateway that does not tell its release ("dev": 2026.2.17, and any that was built from source) is taken for one that
may be any of the seven: only what all have counts. The two mistakes are not equally bad. A message that waits without
need is answered, later; a message that does not wait is merged into the run that goes on, and may get no answer of its
own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from unicodedata import normalize

from openclaw_client.wire.handshake import release_of

Release = tuple[int, int, int]

_SPACE: Final = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""White space as gateways know it."""
_EDGES: Final = re.compile(f"^[{_SPACE}]+|[{_SPACE}]+$")
_SPACES: Final = re.compile(f"[{_SPACE}]+")
_CONTROL: Final = dict.fromkeys([code for code in (*range(32), 127) if chr(code) not in "\t\n\r"])
"""Gateways take them out of a message before they look at it."""
_COMMAND: Final = re.compile(f"/([^:{_SPACE}]+)[{_SPACE}]*:?(.*)")
"""A command: its name, and what it is given, behind white space or a colon."""

_FIRST_WORDS: Final = frozenset({"stop", "esc", "abort", "wait", "exit", "interrupt"})
_WORDS: Final = (_FIRST_WORDS - {"wait"}) | {
    *("halt", "stop please", "please stop", "stop action", "stop current action", "stop run", "stop current run"),
    *("stop agent", "stop the agent", "stop openclaw", "openclaw stop", "stop doing anything", "do not do that"),
    *("stop don't do anything", "stop dont do anything", "stop do not do anything"),
    # Spanish, Portuguese, French, German.
    *("detente", "deten", "detén", "pare", "arrete", "arrête", "stopp", "anhalten", "aufhören", "hoer auf"),
    # Russian, Hindi, Arabic, Japanese, Chinese.
    *("стоп", "остановись", "останови", "остановить", "прекрати", "रुको", "توقف", "やめて", "止めて", "停止"),
}
_MARKS: Final = frozenset(".!?…,\uff0c。;\uff1b:\uff1a'\"\u2019”)]}")
"""What may stand behind a stop word; those that look like Latin marks and are none by their numbers."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FIRST_NAMES: Final = _names(
    "activation allowlist approve bash compact config context debug elev elevated exec export export-session kill "
    "model models new queue reason reasoning reset send skill steer subagents t tell think thinking tts usage v verbose"
)
_FIRST_BARE: Final = _names("commands help id restart status stop whoami")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a release takes for more than a message.

    Attributes:
        words: Its stop words.
        marks: What may stand behind a stop word.
        names: The commands that may be given something.
        bare: The commands that stand alone: with anything behind them they are a message.
    """

    words: frozenset[str]
    marks: frozenset[str]
    names: frozenset[str]
    bare: frozenset[str]

    def __and__(self, other: Vocabulary) -> Vocabulary:
        """What both take so. A name that only one of them takes with something behind it counts alone."""
        return Vocabulary(
            self.words & other.words,
            self.marks & other.marks,
            self.names & other.names,
            ((self.names | self.bare) & (other.names | other.bare)) - (self.names & other.names),
        )


def _vocabularies() -> dict[Release, Vocabulary]:
    """What the releases were found to have, oldest first."""
    names, bare = _FIRST_NAMES, _FIRST_BARE
    found = {(2026, 2, 17): Vocabulary(_FIRST_WORDS, frozenset(), names, bare)}
    names |= _names("acp btw fast focus mcp plugin plugins session tools trace")
    bare |= _names("agents tasks unfocus")
    found[2026, 4, 15] = Vocabulary(_WORDS | {"wait"}, _MARKS, names, bare)
    names |= _names("crestodian diagnostics export-trajectory side trajectory")
    found[2026, 5, 12] = Vocabulary(_WORDS | {"wait"}, _MARKS, names, bare)
    names = names - {"kill"} | {"goal"}
    words, marks = _WORDS | {"停下来", "暂停"}, _MARKS | {"\uff01", "\uff1f"}
    found[2026, 6, 1] = Vocabulary(words | {"wait"}, marks, names, bare)
    names, bare = names | _names("learn login name status"), bare - {"status"}
    found[2026, 7, 35] = Vocabulary(words, marks, names, bare)
    names = names - {"crestodian"} | _names("loop openclaw")
    found[2026, 8, 1] = Vocabulary(words, marks, names, bare)
    names, bare = names - {"focus"} | {"dashboard"}, bare - {"unfocus"} | {"update"}
    found[2026, 9, 6] = Vocabulary(words, marks, names, bare)
    return found


_VOCABULARIES: Final = _vocabularies()


@lru_cache(maxsize=16)
def _of(release: Release | None) -> Vocabulary:
    known = list(_VOCABULARIES.items())
    if release is None:
        shared = known[0][1]
        for _, vocabulary in known[1:]:
            shared &= vocabulary
        return shared
    before = [vocabulary for found, vocabulary in known if found <= release] or [known[0][1]]
    after = [vocabulary for found, vocabulary in known if found >= release] or [known[-1][1]]
    return before[-1] & after[0]


def vocabulary(version: str | None) -> Vocabulary:
    """What a gateway takes for more than a message.

    Args:
        version: `server.version` of its hello; None where it is not known.
    """
    return _of(release_of(version) if version else None)


def is_stop_word(message: str, version: str | None) -> bool:
    """Whether a message ends what runs in its session: a stop word, or the command that does the same.

    Args:
        message: The text as it is sent.
        version: `server.version` of the gateway's hello; None where it is not known.
    """
    text, known = _clean(message), vocabulary(version)
    command = _command(text)
    if command is not None:
        return _without(known.marks, f"{command[0]} {command[1]}") == "stop"
    return _without(known.marks, _SPACES.sub(" ", text.translate(_QUOTES))) in known.words


def is_command(message: str, version: str | None) -> bool:
    """Whether a message begins with the name of a command of this release, and is one.

    Commands of plug-ins and skills are not known here; they run the model, and wait as every other message.

    Args:
        message: The text as it is sent.
        version: `server.version` of the gateway's hello; None where it is not known.
    """
    command = _command(_clean(message))
    if command is None:
        return False
    (name, rest), known = command, vocabulary(version)
    return name in known.names or (name in known.bare and not rest)


def jumps_the_queue(message: str, version: str | None) -> bool:
    """Whether a message is meant for the run that goes on in its session, and so does not wait for that run's end.

    Args:
        message: The text as it is sent.
        version: `server.version` of the gateway's hello; None where it is not known.
    """
    return is_stop_word(message, version) or is_command(message, version)


_QUOTES: Final = str.maketrans("\u2019`", "''")


def _clean(message: str) -> str:
    """A message as a gateway compares it."""
    return _EDGES.sub("", normalize("NFC", message).translate(_CONTROL)).lower()


def _command(text: str) -> tuple[str, str] | None:
    """The name after the slash and what stands behind it in the same line; None where there is no slash."""
    match = _COMMAND.match(text.partition("\n")[0])
    return (match[1], _EDGES.sub("", match[2])) if match is not None else None


def _without(marks: frozenset[str], text: str) -> str:
    """A text without the marks that stand at its end."""
    return _EDGES.sub("", _EDGES.sub("", text).rstrip("".join(marks)) if marks else text)
