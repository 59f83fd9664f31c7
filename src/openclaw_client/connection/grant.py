"""What a connection that has just become ready may do, before anybody is told that it is ready."""

from __future__ import annotations

import asyncio

from openclaw_client.connection.connection import Connection, Outcome, Responded
from openclaw_client.errors import NotConnected
from openclaw_client.policy.scopes import effective_scopes, probe_for
from openclaw_client.wire import codes
from openclaw_client.wire.handshake import Hello


async def find_grant(
    connection: Connection, hello: Hello, requested: tuple[str, ...], needed: tuple[str, ...], *, with_device: bool
) -> tuple[str, ...] | None:
    """The scopes that a connection has; None where the gateway doesn't tell and refuses nothing that is needed.

    Wire v3 tells only a device that gets a device token. It grants a client without a device nothing, and others all
    or nothing; which of the two, one request shows. Costs no round trip where hello-ok tells.
    """
    told = hello.granted_scopes
    if told is not None:
        return effective_scopes(told, requested, of_token=hello.auth is not None and hello.auth.scopes_are_token_s)
    if not with_device:
        return ()
    method = probe_for(needed)
    return () if method is not None and await _is_refused(connection, method) else None


async def _is_refused(connection: Connection, method: str) -> bool:
    """Whether a method is refused for want of a scope. Any other answer, and none, says nothing about scopes."""
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def done(outcome: Outcome) -> None:
        if not answer.done():
            answer.set_result(outcome)

    try:
        # Without a time limit of its own: that of the whole attempt holds.
        ident = connection.request(method, {}, None, done)
    except NotConnected:
        return False
    try:
        outcome = await answer
    finally:
        connection.forget(ident)
    if not isinstance(outcome, Responded) or outcome.error is None:
        return False
    return codes.missing_scope_of(outcome.error) is not None
