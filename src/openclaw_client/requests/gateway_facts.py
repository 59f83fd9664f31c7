"""What is known of a gateway: its latest connection, what that may do, and what refusals have taught about methods."""

from __future__ import annotations

from openclaw_client.connection.connection import Cause, Connection, ErrorContext, Expired, Outcome, Responded
from openclaw_client.connection.supervisor import lost_error
from openclaw_client.errors import GatewayError, MethodUnavailable, OutcomeUnknown, RequestTimeout
from openclaw_client.policy import diagnose
from openclaw_client.policy.methods import says_unknown
from openclaw_client.policy.scopes import MethodScopes
from openclaw_client.wire import codes
from openclaw_client.wire.frames import decode_payload
from openclaw_client.wire.handshake import Hello

MAX_UNKNOWN = 1024
"""Methods of which it is remembered that a gateway does not know them: their names are the caller's. All are forgotten
beyond that, and are unknown again when they are next tried."""


class GatewayFacts:
    """granted: the scopes of the latest connection; None before there was one."""

    def __init__(self, requested_scopes: tuple[str, ...]) -> None:
        self.granted: tuple[str, ...] | None = None
        self._requested = requested_scopes
        self._latest: Connection | None = None
        self._method_scopes = MethodScopes()
        self._unknown_methods: frozenset[str] = frozenset()

    @property
    def hello(self) -> Hello | None:
        return self._latest.hello if self._latest is not None else None

    def on_connected(self, connection: Connection) -> None:
        self._latest, self.granted = connection, connection.granted
        # Perhaps of a newer release.
        self._unknown_methods = frozenset()

    def supports(self, method: str) -> bool | None:
        if self.hello is not None and method in self.hello.features.methods:
            return True
        return False if method in self._unknown_methods else None

    def missing_scopes(self, method: str) -> tuple[str, ...]:
        """The scopes that a method is known to need and the latest connection does not have. From any thread."""
        return self._method_scopes.missing(method, self.granted)

    @property
    def known(self) -> ErrorContext:
        """What an error can tell about the latest connection, also when it has ended."""
        if self._latest is None:
            return {"connection_id": None, "gateway_version": None, "last_frame_age": None}
        return self._latest.known

    def error_of(self, outcome: Outcome) -> GatewayError:
        """Why a request has no answer; what a refusal says of its method is remembered."""
        if isinstance(outcome, Responded):
            return self._refusal(outcome)
        method, known = outcome.method, self.known
        if isinstance(outcome, Expired):
            remedy = "Ask the gateway before trying again"
            return RequestTimeout(method=method, timeout=outcome.timeout, remedy=remedy, **known)
        end = outcome.end
        if end.cause is Cause.ASKED:
            return lost_error(end, known, sent=True)
        return OutcomeUnknown(
            message=f"the connection was lost before the answer came: {end.cause.value}",
            remedy="Ask the gateway before trying again",
            method=method,
            close_code=end.code,
            close_reason=end.reason or None,
            sent=True,
            **known,
        )

    def _refusal(self, outcome: Responded) -> GatewayError:
        assert outcome.error is not None
        method, known = outcome.method, self.known
        if says_unknown(method, outcome.error):
            others = self._unknown_methods if len(self._unknown_methods) < MAX_UNKNOWN else ()
            self._unknown_methods = frozenset((*others, method))
        error = diagnose.request_failure(
            method,
            outcome.error,
            decode_payload(outcome.payload),
            requested=self._requested,
            granted=self.granted or (),
            connection_id=known["connection_id"],
            gateway_version=known["gateway_version"],
            advertised=self.hello.features.methods if self.hello is not None else (),
        )
        if not isinstance(error, MethodUnavailable):
            self._method_scopes.learn(method, codes.required_scopes_of(outcome.error))
        return error
