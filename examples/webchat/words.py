"""Errors in the words of a person who uses the page. What an operator needs is in the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openclaw_client import ConnectionState, GatewayError
from openclaw_client.errors import (
    AuthRejected,
    ConnectError,
    ConnectionLost,
    HandshakeTimeout,
    MissingScope,
    OutcomeUnknown,
    PairingRequired,
    PayloadTooLarge,
    ProtocolMismatch,
    RequestFailed,
    RequestTimeout,
    RunFailed,
    RunLost,
    RunTimeout,
    TlsPinMismatch,
    Unreachable,
    UsageError,
)
from openclaw_client.runs.blocks import beside_text

WAITS = "waiting for another run"
"""The status of a reply while another run of the conversation has the gateway's attention."""
SILENT = "The assistant had nothing to say."
CONNECTION = {
    ConnectionState.CONNECTING: "Connecting to the gateway …",
    ConnectionState.CONNECTED: "",
    ConnectionState.RECONNECTING: "The gateway is away. Replies go on as soon as it is back.",
    ConnectionState.DISCONNECTED: "Not connected to the gateway.",
    ConnectionState.PAUSED: "The gateway does not let this server in. Its operator has to act.",
}


FINAL = (AuthRejected, PairingRequired, ProtocolMismatch, MissingScope, TlsPinMismatch, UsageError)
"""What trying again by itself does not mend; gateways lock out those who try."""


def connection_problem(error: GatewayError) -> str:
    """Why there is no connection."""
    if isinstance(error, FINAL):
        return CONNECTION[ConnectionState.PAUSED]
    return "The gateway cannot be reached. Trying again."


def not_shown(content: Iterable[Mapping[str, Any]]) -> str:
    """What a message holds that this page does not show; "" where that is nothing."""
    beside = beside_text(content)
    return f"Not shown here: {beside}." if beside else ""


def explain(error: GatewayError) -> str:
    """What happened to a message, and what is known of it."""
    match error:
        case RunFailed():
            return f"The assistant failed: {error.message}"
        case OutcomeUnknown() | RequestTimeout():
            return "The gateway was lost before it said whether it has the message."
        case RunLost() | RunTimeout():
            return "The gateway was lost in the middle of this reply. How it ended is not known."
        case PayloadTooLarge() | UsageError():
            return "The gateway does not take this message. Nothing was sent."
        case PairingRequired() | AuthRejected():
            return CONNECTION[ConnectionState.PAUSED]
        case Unreachable() | HandshakeTimeout() | ConnectionLost():
            return "The gateway cannot be reached. Nothing was sent."
        case ConnectError():
            return "The gateway does not accept this server. Nothing was sent."
        case RequestFailed():
            return "The gateway refused the message. Nothing runs."
        case _:
            return "Something went wrong. The server's log has more."
