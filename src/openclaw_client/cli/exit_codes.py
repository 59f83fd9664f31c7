"""The exit codes: one table, and which error gives which. Stable: scripts depend on them."""

from __future__ import annotations

from enum import IntEnum

from openclaw_client.errors import (
    AuthRejected,
    ConnectError,
    ConnectionLost,
    GatewayError,
    HandshakeTimeout,
    IdentityError,
    MissingScope,
    OutcomeUnknown,
    PairingRequired,
    PayloadTooLarge,
    ProtocolMismatch,
    ProtocolViolation,
    RateLimited,
    RequestTimeout,
    RunError,
    RunTimeout,
    UsageError,
)


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    AUTH = 4
    PAIRING = 5
    PROTOCOL = 6
    TIMEOUT = 7
    ABORTED = 8
    RUN_FAILED = 9
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "refused by the gateway, too late an answer, or anything not listed here",
    ExitCode.USAGE: "the command cannot work as written; nothing was sent",
    ExitCode.UNREACHABLE: "no connection to the gateway, or it was lost",
    ExitCode.AUTH: "credentials, scope or device identity refused or unusable, or locked out",
    ExitCode.PAIRING: "this device must be approved on the gateway first",
    ExitCode.PROTOCOL: "no protocol version in common, or the gateway broke the protocol",
    ExitCode.TIMEOUT: "no answer in time",
    ExitCode.ABORTED: "the run was aborted, by Ctrl-C or by somebody else",
    ExitCode.RUN_FAILED: "the run failed, how it ended is not known, or there is no such run",
    ExitCode.INTERRUPTED: "Ctrl-C without a run to abort; a message that still waited was not sent",
    ExitCode.BROKEN_PIPE: "the reader of the output has gone",
}

_BY_ERROR: dict[type[GatewayError], ExitCode] = {
    GatewayError: ExitCode.FAILED,
    UsageError: ExitCode.USAGE,
    PayloadTooLarge: ExitCode.USAGE,
    ConnectError: ExitCode.UNREACHABLE,
    ConnectionLost: ExitCode.UNREACHABLE,
    OutcomeUnknown: ExitCode.UNREACHABLE,
    AuthRejected: ExitCode.AUTH,
    RateLimited: ExitCode.AUTH,
    MissingScope: ExitCode.AUTH,
    IdentityError: ExitCode.AUTH,
    PairingRequired: ExitCode.PAIRING,
    ProtocolMismatch: ExitCode.PROTOCOL,
    ProtocolViolation: ExitCode.PROTOCOL,
    HandshakeTimeout: ExitCode.TIMEOUT,
    RequestTimeout: ExitCode.TIMEOUT,
    RunTimeout: ExitCode.TIMEOUT,
    RunError: ExitCode.RUN_FAILED,
}
"""The nearest class of an error that stands here decides."""


def exit_code(error: GatewayError) -> ExitCode:
    """The exit code of an error."""
    return next(_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR)
