"""By which method a message is sent, and with which parameters.

Knows what `chat.send` and `agent` take. Refuses to know connections, and when a message may be sent.

A system prompt or a model goes by `agent`, which hands stop words and commands to the model as words (all releases);
chat.send acts on them, and for most of them no model is asked. So they go by chat.send, without either.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from openclaw_client.chat.arguments import ChatRequest
from openclaw_client.chat.attachments import wire_attachments
from openclaw_client.runs.peer import AGENT, CHAT_SEND, Delivery, SentRun
from openclaw_client.wire.commands import jumps_the_queue
from openclaw_client.wire.handshake import Hello

_MAX_LIMIT: Final = 2**63
"""Milliseconds of a run's limit that are made seconds. What is no limit is the gateway's to refuse, as in chat.send:
infinity cannot be rounded, and what is a little below zero would be rounded to no limit at all."""


def method_of(request: ChatRequest, version: str | None) -> str:
    """The method by which a message is sent for the first time.

    Args:
        request: The message.
        version: `server.version` of the gateway's hello; None where it is not known.
    """
    wished = request.system_prompt is not None or request.model is not None
    return AGENT if wished and not jumps_the_queue(request.message, version) else CHAT_SEND


def sending_of(request: ChatRequest, method: str) -> Delivery:
    """What is remembered of how a message was sent."""
    complete = not request.attachments and not request.extra
    return Delivery(method, request.system_prompt, request.model, request.thinking, complete)


def request_of(sent: SentRun) -> ChatRequest:
    """The message of stored facts, to be sent again."""
    return ChatRequest(
        sent.session_key,
        sent.message,
        sent.run_id,
        system_prompt=sent.system_prompt,
        model=sent.model,
        thinking=sent.thinking,
    )


def params_of(request: ChatRequest, method: str, hello: Hello) -> dict[str, Any]:
    """The parameters of a method for a connection that was greeted so. Raises UsageError, PayloadTooLarge."""
    params: dict[str, Any] = {
        "sessionKey": request.session_key,
        "message": request.message,
        "idempotencyKey": request.run_id,
        **request.extra,
    }
    if request.thinking is not None:
        params["thinking"] = request.thinking
    if method == AGENT:
        _add_wishes(params, request)
    if request.attachments:
        params["attachments"] = wire_attachments(request.attachments, hello, method)
    return params


def _add_wishes(params: dict[str, Any], request: ChatRequest) -> None:
    if request.system_prompt is not None:
        params["extraSystemPrompt"] = request.system_prompt
    if request.model is not None:
        params["model"] = request.model
    limit = params.get("timeoutMs")
    if isinstance(limit, int | float) and not isinstance(limit, bool) and 0 <= limit <= _MAX_LIMIT:
        # The limit that chat.send takes in milliseconds `agent` takes in whole seconds, under another name.
        params["timeout"] = ceil(params.pop("timeoutMs") / 1000)
