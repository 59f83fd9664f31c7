"""A request or a run that did not end well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openclaw_client.errors.base import GatewayError
from openclaw_client.errors.connecting import ConnectError, ConnectionLost


@dataclass(eq=False, kw_only=True, repr=False)
class RequestError(GatewayError):
    """A request to the gateway failed."""

    method: str | None = None

    def sentence(self) -> str:
        return f"{self.method}: {super().sentence()}" if self.method else super().sentence()


@dataclass(eq=False, kw_only=True, repr=False)
class RequestFailed(RequestError):
    """The gateway answered the request with an error.

    details and payload are the gateway's own (`error.details`, and the payload that some errors carry beside it).
    retry_after is in seconds.
    """

    code: str | None = None
    detail_code: str | None = None
    details: Mapping[str, Any] | None = None
    retryable: bool = False
    retry_after: float | None = None
    payload: Any = None

    def tags(self) -> list[str]:
        code = self.detail_code or self.code
        return [*([code] if code else []), *super().tags()]


@dataclass(eq=False, kw_only=True, repr=False)
class MissingScope(ConnectError, RequestFailed):
    """The connection lacks a scope.

    Raised by connect() when a requested scope was not granted, and by a request that the gateway refused for want
    of one. requested: what this client asked for, granted: what the gateway gave, missing: what is lacking.
    """

    requested: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def sentence(self) -> str:
        got = ", ".join(self.granted) or "none"
        head = f"{self.method}: " if self.method else ""
        return f"{head}missing scope {', '.join(self.missing) or '(unknown)'}; granted: {got}"

    def tags(self) -> list[str]:
        # Not both parents' codes, which are the same one.
        return RequestFailed.tags(self)


@dataclass(eq=False, kw_only=True, repr=False)
class MethodUnavailable(RequestFailed):
    """The gateway has no method of this name.

    suggestion: the method that was probably meant, None where none is like it.
    """

    suggestion: str | None = None

    def sentence(self) -> str:
        # 2026.2.17 calls itself "dev".
        who = self.gateway_version if (self.gateway_version or "")[:1].isdigit() else "the gateway"
        meant = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{who} has no method {self.method}{meant}"


@dataclass(eq=False, kw_only=True, repr=False)
class RequestTimeout(RequestError):
    """The gateway did not answer in time; whether it acted on the request is unknown.

    timeout is in seconds. idempotency_key: what a retry must carry so that nothing happens twice.
    """

    timeout: float | None = None
    idempotency_key: str | None = None

    def sentence(self) -> str:
        within = f" within {self.timeout:g} s" if self.timeout is not None else ""
        head = f"{self.method}: " if self.method else ""
        return f"{head}no answer{within}; whether the gateway acted on it is unknown"


@dataclass(eq=False, kw_only=True, repr=False)
class OutcomeUnknown(RequestError, ConnectionLost):
    """The connection died before the answer came; whether the gateway acted on the request is unknown.

    Attributes:
        idempotency_key: What a retry must carry so that nothing happens twice.
        sent_run: Of a message, the `SentRun` with which `chat_attach` looks for its run.
    """

    idempotency_key: str | None = None
    sent_run: Any = None


@dataclass(eq=False, kw_only=True, repr=False)
class PayloadTooLarge(RequestError):
    """The request is over a limit of the gateway; nothing was sent.

    size and limit are in `unit`.
    """

    size: int = 0
    limit: int = 0
    what: str = "the request"
    unit: str = "bytes"

    def sentence(self) -> str:
        head = f"{self.method}: " if self.method else ""
        return f"{head}{self.what} has {self.size} {self.unit}, the limit is {self.limit}; nothing was sent"


@dataclass(eq=False, kw_only=True, repr=False)
class FileGone(RequestFailed):
    """The gateway has this file of an agent no more.

    Its session was reset, compacted or deleted, or the gateway's own time limit for files passed.

    Attributes:
        artifact_id: The file.
        name: The agent's name for it.
    """

    artifact_id: str | None = None
    name: str | None = None

    def sentence(self) -> str:
        return f"the gateway has the file {self.name or self.artifact_id or '(unknown)'} no more"


@dataclass(eq=False, kw_only=True, repr=False)
class FileTooLarge(RequestError):
    """A file of an agent is larger than the caller takes; no more than that was read, and nothing was written.

    Attributes:
        size: Its bytes; None where the gateway did not say, and too many came.
        limit: What the caller takes (`max_bytes`).
        artifact_id: The file.
        name: The agent's name for it.
    """

    size: int | None = None
    limit: int = 0
    artifact_id: str | None = None
    name: str | None = None

    def sentence(self) -> str:
        has = f"has {self.size} bytes" if self.size is not None else "is longer"
        which = self.name or self.artifact_id or "(unknown)"
        return f"the file {which} {has}, the limit is {self.limit}; nothing was written"


@dataclass(eq=False, kw_only=True, repr=False)
class RunError(GatewayError):
    """A chat run did not end with a reply.

    Attributes:
        run_id: The run.
        session_key: Its session, as it was given.
        partial_text: What had arrived.
        sent_run: The `SentRun` with which `chat_attach` takes the run up again (`RunLost`, `RunTimeout`); None where
            nothing was sent, or how the run ended is known.
    """

    run_id: str | None = None
    session_key: str | None = None
    partial_text: str = ""
    sent_run: Any = None

    def sentence(self) -> str:
        got = f" ({len(self.partial_text)} characters had arrived)" if self.partial_text else ""
        return f"run {self.run_id}: {super().sentence().rstrip('.')}{got}"


@dataclass(eq=False, kw_only=True, repr=False)
class RunFailed(RunError):
    """The gateway reports that the run failed.

    kind: "refusal", "timeout", "rate_limit", "context_length", "unknown", or None where the gateway doesn't tell.
    detail: the gateway's own mapping about the provider's failure.
    """

    kind: str | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(eq=False, kw_only=True, repr=False)
class RunTimeout(RunError):
    """The caller's time limit passed; the run goes on at the gateway.

    `chat_abort()` ends it there, `chat_attach(error.sent_run)` follows it on.

    Attributes:
        limit: "idle" or "total".
        timeout: The limit, in seconds.
        sent: False where the message was still waiting for its turn: nothing runs.
    """

    limit: str = "total"
    timeout: float | None = None
    sent: bool = True

    def sentence(self) -> str:
        within = f" of {self.timeout:g} s" if self.timeout is not None else ""
        state = "the run goes on at the gateway" if self.sent else "the message was not sent"
        return f"run {self.run_id}: the {self.limit} time limit{within} passed; {state}"


class RunLost(RunError):
    """How the run ended is not known.

    Its gateway ended or stays away, or there is no whole reply in the history. `partial_text` is what had arrived.
    """


class RunUnknown(RunError):
    """There is no run of this id within the gateway's reach.

    Raised for `chat_attach` with the id of a run; one that is over may still be found with its `SentRun`.
    """
