"""Whether a gateway is asked to keep the events of other sessions back. No I/O."""

from __future__ import annotations

from dataclasses import replace

from openclaw_client.connection.settings import Settings
from openclaw_client.errors import UsageError
from openclaw_client.sessions.filter import MAX_LISTED, SessionFilter
from openclaw_client.sessions.subscription import CAPABILITY


def with_scope(settings: Settings, sessions: SessionFilter) -> Settings:
    """The settings of a client that is shown these sessions: with the capability where they are known by name.

    Raises UsageError where the caller asks for it and nobody could say which sessions are meant: the gateway would then
    send the events of none, and a reply would come in one piece, when the client asks what became of it.
    """
    if sessions.listed:
        operator = settings.role == "operator" and CAPABILITY not in settings.caps
        return replace(settings, caps=(*settings.caps, CAPABILITY)) if operator else settings
    if CAPABILITY not in settings.caps:
        return settings
    raise UsageError(
        message=f'caps= has "{CAPABILITY}", with which a gateway sends the events of those sessions alone that it is '
        "asked for one by one, and sessions= is no list: replies would come late, and in one piece",
        remedy=f"Leave it out of caps=. List the sessions in sessions=[…], {MAX_LISTED:,} at most, and it is announced",
    )
