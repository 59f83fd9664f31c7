"""Session keys: how two spellings of one session compare.

The gateway maps `main` to `agent:main:main` and lower-cases what it is given; releases of wire v3 still send some
events with the key as the client wrote it (observed on 2026.2.17 and 2026.4.15). Keys are folded for matching only,
never for sending: some channels' ids are case-sensitive.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from openclaw_client.errors import UsageError
from openclaw_client.wire.limits import MAX_SESSION_KEY

DEFAULT_AGENT = "main"

_AGENT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# What stays as it is in a part of a key. Everything else, capitals included, is escaped: the gateway folds case, and
# two users whose names differ in case only must not come to share a session.
_PLAIN = re.compile(r"[a-z0-9._@+-]")
_RESERVED = frozenset({"subagent", "cron", "acp"})
"""First parts by which a gateway knows sessions of its own making."""


class SessionKey:
    """Builds session keys, which are plain strings, and compares them."""

    @staticmethod
    def agent(agent_id: str, *parts: object) -> str:
        """The key of a session of an agent: `SessionKey.agent("ops", "web", 17)` is `agent:ops:web:17`.

        Parts are made into text and escaped, in the canonical spelling: different parts always give different sessions,
        also where they differ in case only or have a colon in them.

        Raises UsageError for an agent id that no gateway has (a wrong one would start a run of another agent), without
        parts, for an empty part, for a first part that gateways use themselves, and for a key of over 512 characters.
        """
        if not _AGENT_ID.fullmatch(agent_id):
            raise UsageError(
                message=f"{agent_id!r} is no agent id",
                remedy="Use lower-case letters, digits, - and _, as `agents.list` shows it",
            )
        texts = [str(part) for part in parts]
        if not texts or not all(texts):
            raise UsageError(message="a session key needs parts that are not empty", remedy="Name the session")
        if texts[0] in _RESERVED:
            raise UsageError(
                message=f"sessions that begin with {texts[0]!r} are the gateway's own",
                remedy='Begin with a name of your own, such as "web"',
            )
        return check_session_key(":".join(("agent", agent_id, *map(_escape, texts))))

    @staticmethod
    def parse(key: str | None) -> tuple[str, tuple[str, ...]] | None:
        """Undo `agent`: `SessionKey.parse("agent:ops:web:17")` is `("ops", ("web", "17"))`; parts come as text.

        Returns:
            The agent's id and the parts; None for every key that `agent` does not make, in that very spelling: those of
            channels and cron jobs are nobody's mistake, and must not be taken for a user's by their looks.
        """
        word, *rest = (key or "").split(":")
        if word != "agent" or len(rest) < 2:
            return None
        try:
            parts = tuple(unquote_to_bytes(part).decode(errors="surrogatepass") for part in rest[1:])
            made = SessionKey.agent(rest[0], *parts)
        except (UnicodeError, UsageError):
            return None
        return (rest[0], parts) if made == key else None

    @staticmethod
    def canonical(key: str, *, default_agent: str = DEFAULT_AGENT, main_key: str = "main") -> str:
        """The form that all spellings of a session share (`main`, `agent:main:main`, capitals): for comparing only."""
        return canonical_key(key, default_agent=default_agent, main_key=main_key)


def _escape(part: str) -> str:
    return "".join(
        char if _PLAIN.match(char) else "".join(f"%{byte:02x}" for byte in char.encode(errors="surrogatepass"))
        for char in part
    )


def canonical_key(key: str, *, default_agent: str = DEFAULT_AGENT, main_key: str = "main") -> str:
    """The form that two spellings of one session share: `agent:<agent>:<rest>`, case folded."""
    folded = key.strip().lower()
    if folded.startswith("agent:"):
        agent, _, rest = folded[len("agent:") :].partition(":")
        # "main" within an agent is that agent's main session, whatever the gateway calls it.
        return f"agent:{agent}:{main_key.lower() if rest == 'main' else rest}"
    rest = main_key if folded in ("", "main", "global") else folded
    return f"agent:{default_agent.lower()}:{rest.lower()}"


def check_session_key(key: object) -> str:
    """The key as it is, or UsageError: a string of 1 to 512 characters without control characters."""
    if not isinstance(key, str):
        raise UsageError(
            message=f"the session key must be text, not {type(key).__name__}", remedy='Give one, such as "main"'
        )
    if not key.strip():
        raise UsageError(message="the session key is empty", remedy='Give one, such as "main"')
    if len(key) > MAX_SESSION_KEY:
        raise UsageError(
            message=f"the session key has {len(key)} characters, the gateway takes {MAX_SESSION_KEY}; nothing was sent",
            remedy="Use a shorter key",
        )
    if any(ord(char) < 32 or ord(char) == 127 for char in key):
        raise UsageError(message="the session key holds a control character; nothing was sent", remedy="Remove it")
    return key
