"""Session keys: how two spellings of one session compare.

The gateway maps `main` to `agent:main:main` and lower-cases what it is given; releases of wire v3 still send some
events with the key as the client wrote it (observed on 2026.2.17 and 2026.4.15). Keys are folded for matching only,
never for sending: some channels' ids are case-sensitive.
"""

from __future__ import annotations

from openclaw_client.errors import UsageError
from openclaw_client.wire.limits import MAX_SESSION_KEY

DEFAULT_AGENT = "main"


def canonical_key(key: str, *, default_agent: str = DEFAULT_AGENT, main_key: str = "main") -> str:
    """The form that two spellings of one session share: `agent:<agent>:<rest>`, case folded."""
    folded = key.strip().lower()
    if folded.startswith("agent:"):
        agent, _, rest = folded[len("agent:") :].partition(":")
        # "main" within an agent is that agent's main session, whatever the gateway calls it.
        return f"agent:{agent}:{main_key.lower() if rest == 'main' else rest}"
    rest = main_key if folded in ("", "main", "global") else folded
    return f"agent:{default_agent.lower()}:{rest.lower()}"


def same_session(left: str, right: str, *, default_agent: str = DEFAULT_AGENT, main_key: str = "main") -> bool:
    """Whether two spellings mean one session."""
    return left == right or canonical_key(left, default_agent=default_agent, main_key=main_key) == canonical_key(
        right, default_agent=default_agent, main_key=main_key
    )


def check_session_key(key: object) -> str:
    """The key as it is, or UsageError: a string of 1 to 512 characters without control characters."""
    if not isinstance(key, str) or not key.strip():
        raise UsageError(message="the session key is empty", remedy='Give one, such as "main"')
    if len(key) > MAX_SESSION_KEY:
        raise UsageError(
            message=f"the session key has {len(key)} characters, the gateway takes {MAX_SESSION_KEY}; nothing was sent",
            remedy="Use a shorter key",
        )
    if any(ord(char) < 32 or ord(char) == 127 for char in key):
        raise UsageError(message="the session key holds a control character; nothing was sent", remedy="Remove it")
    return key
