"""Results of calls on their way to the gateway, and what its answers mean. On the loop's thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from openclaw_client.connection.connection import Connection, Expired, Outcome, Responded
from openclaw_client.errors import GatewayError, OutcomeUnknown, RequestTimeout
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy import diagnose
from openclaw_client.tools.calls import CallAnswer, words
from openclaw_client.wire.frames import decode_payload
from openclaw_client.wire.nodes import INVOKE_RESULT, Invocation, content_result, is_ignored, refused_result

MOST_UNANSWERED: Final = 2_000
"""Results whose receipt the gateway has not confirmed: it is sent no more beyond that, for it takes none."""

logger = GuardedLogger("openclaw_client.tools")


class Results:
    """Of one host. usable gives the connection, limit are the seconds for the gateway's receipt."""

    def __init__(self, usable: Callable[[], Connection | None], limit: float) -> None:
        self._usable = usable
        self._limit = limit
        self._unanswered = 0
        self._told = False
        self._connection: Connection | None = None

    def begin(self, connection: Connection) -> None:
        """Results go over this one from now on."""
        self._connection, self._unanswered, self._told = connection, 0, False

    def send(self, invocation: Invocation, answer: CallAnswer) -> None:
        """Send what a call came to, on the connection on which it came."""
        connection = self._usable()
        if connection is None:
            return
        if self._unanswered >= MOST_UNANSWERED:
            if not self._told:
                self._told = True
                logger.warning(
                    "%d results are not confirmed by the gateway; further ones are dropped", self._unanswered
                )
            return
        try:
            connection.request(INVOKE_RESULT, _params(invocation, answer), self._limit, partial(self._done, connection))
        except GatewayError as error:
            # Not in its own words: they may quote the result.
            logger.warning("a result cannot be sent: %s", type(error).__name__)
            if not answer.failed and answer.code is None:
                self.send(invocation, words("The result cannot be sent: it is too large."))
            return
        self._unanswered += 1

    def _done(self, connection: Connection, outcome: Outcome) -> None:
        if connection is self._connection:
            self._unanswered -= 1
        if isinstance(outcome, Responded) and outcome.error is None:
            if is_ignored(decode_payload(outcome.payload)):
                logger.info("a result came too late, and the gateway dropped it")
            return
        error = error_of(outcome, connection)
        level = logger.warning if isinstance(outcome, Responded) else logger.debug
        level("the gateway did not take a result: %s", error)


def error_of(outcome: Outcome, connection: Connection) -> GatewayError | None:
    """Why a request has no answer; None where it has one."""
    known, method = connection.known, outcome.method
    if isinstance(outcome, Responded):
        if outcome.error is None:
            return None
        hello = connection.hello
        return diagnose.request_failure(
            method,
            outcome.error,
            decode_payload(outcome.payload),
            connection_id=known["connection_id"],
            gateway_version=known["gateway_version"],
            advertised=hello.features.methods if hello is not None else (),
        )
    if isinstance(outcome, Expired):
        return RequestTimeout(method=method, timeout=outcome.timeout, **known)
    return OutcomeUnknown(message=f"the connection was lost: {outcome.end.cause.value}", method=method, **known)


def _params(invocation: Invocation, answer: CallAnswer) -> dict[str, Any]:
    if answer.code is not None:
        return refused_result(invocation.id, invocation.node_id, answer.code, answer.message)
    return content_result(invocation.id, invocation.node_id, answer.content, failed=answer.failed)
