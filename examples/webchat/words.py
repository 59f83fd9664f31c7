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
    NotConnected,
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
ASKS = "waiting for your answer"
"""The status of a reply whose agent has asked for something."""
SILENT = "The assistant had nothing to say."
LATER = "What comes of it is a message of its own."
"""In the place of a reply that ended before what its agent asked for was answered (up to 2026.5.12)."""
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


_ENDS = {
    "allowed": "allowed once",
    "denied": "denied",
    "answered": "answered",
    "skipped": "skipped",
}


def closed(kind: str, state: str, decision: str | None, *, here: bool) -> str:
    """How a request of the agent ended. here: by this user's own answer."""
    match state:
        case "expired":
            return "Expired: nobody answered in time."
        case "cancelled":
            return "Closed without an answer: the assistant needs it no longer."
        case "gone":
            return "Over. How it ended is not known."
    how = "allowed from now on" if state == "allowed" and decision == "allow-always" else _ENDS[state]
    if here:
        return f"{how.capitalize()}."
    return "Answered elsewhere." if kind == "question" else f"Answered elsewhere: {how}."


def explain_answer(error: GatewayError) -> str:
    """What happened to an answer for the agent, and what is known of it."""
    match error:
        case ConnectionLost(sent=False) | NotConnected() | Unreachable() | HandshakeTimeout():
            return "The gateway cannot be reached. The answer was not sent."
        case OutcomeUnknown() | RequestTimeout() | ConnectionLost():
            return "The gateway was lost before it said whether it has the answer. Answer again if it still asks."
        case UsageError() | PayloadTooLarge():
            return "The gateway does not take this answer. Nothing was sent."
        case RequestFailed():
            return "The gateway refused the answer. It still waits for one."
        case _:
            return "The answer did not get through. The server's log has more."
