"""Parameters and results of the chat methods, the same for both faces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from unicodedata import category
from uuid import uuid4

from openclaw_client.chat.attachments import Attachment, AttachmentLike
from openclaw_client.errors import UsageError
from openclaw_client.runs.application import Application
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT, MAX_LABEL
from openclaw_client.wire.sessions import check_session_key

WhenBusy = Literal["wait", "send"]

_OWN_NAMES = {
    "sessionKey": "session_key=",
    "message": "message=",
    "idempotencyKey": "idempotency_key=",
    "extraSystemPrompt": "system_prompt=",
}
"""What the gateway calls some arguments of ours. By its names they would pass by what runs and sessions go by."""

_CONTROL = frozenset({"Cc", "Zl", "Zp"})
"""The categories of characters that end a line or steer a terminal."""


_LIKE_A_SECRET = re.compile(r"fc-[0-9a-f]{10}")
"""What one random id in 256 holds. 2026.7.35 takes it for an API key, and `***` stands in its place in the history
(observed; 2026.8.1 and 2026.9.6 leave it): the run would not be found there, and its reply be told as a message that
nobody asked for."""


@dataclass(frozen=True, slots=True)
class AbortResult:
    """aborted is False where nothing was running; run_ids are the runs that were stopped."""

    aborted: bool
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InjectResult:
    """message_id is the id of the new message, as chat.history gives it."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One message to be sent, checked; run_id is the idempotency key and exists before anything is sent. details:
    whether its reply is to say what it took, and which files came with it."""

    session_key: str
    message: str
    run_id: str
    attachments: tuple[AttachmentLike, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    when_busy: WhenBusy = "wait"
    system_prompt: str | None = field(default=None, repr=False)
    model: str | None = None
    thinking: str | None = None
    details: bool = False


def new_run_id(application: Application | None = None) -> str:
    """A random id that comes back from every gateway as it was sent."""
    while _LIKE_A_SECRET.search(made := str(uuid4())):
        pass
    return made if application is None else application.prefix + made


def chat_request(
    session_key: str,
    message: str,
    attachments: Iterable[AttachmentLike] | None,
    idempotency_key: str | None,
    when_busy: WhenBusy,
    extra: Mapping[str, Any],
    *,
    system_prompt: str | None = None,
    model: str | None = None,
    thinking: str | None = None,
    details: bool = False,
    application: Application | None = None,
) -> ChatRequest:
    """Check the arguments of chat_send; UsageError for what every gateway refuses, before anything is sent."""
    if when_busy not in ("wait", "send"):
        raise UsageError(message=f"when_busy={when_busy!r}", remedy='Use "wait" or "send"')
    files = _listed(attachments)
    _check_text("the message", message)
    if not message.strip() and not files:
        raise UsageError(message="the message is empty; nothing was sent", remedy="Send a text or an attachment")
    if "\0" in message:
        raise UsageError(message="the message holds a NUL character; nothing was sent", remedy="Remove it")
    if idempotency_key is not None:
        _check_text("the idempotency key", idempotency_key)
        _check_key(idempotency_key)
    _check_extra(extra)
    _check_wishes(system_prompt, model, thinking, extra)
    return ChatRequest(
        session_key=check_session_key(session_key),
        message=message,
        run_id=idempotency_key or new_run_id(application),
        attachments=files,
        extra=without_none(extra),
        # Who names a queue mode wants the gateway to decide.
        when_busy="send" if extra.get("queueMode") is not None else when_busy,
        system_prompt=system_prompt,
        model=model,
        thinking=thinking,
        details=details,
    )


def history_params(session_key: str, limit: int | None, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of chat.history. limit is cut to 1000, above which every gateway answers with an error."""
    _check_extra(extra)
    params: dict[str, Any] = {"sessionKey": check_session_key(session_key), **without_none(extra)}
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise UsageError(message=f"limit={limit!r} is no number of messages", remedy="Use 1 to 1000")
        params["limit"] = min(limit, MAX_HISTORY_LIMIT)
    return params


def inject_params(session_key: str, message: str, label: str | None) -> dict[str, Any]:
    """Parameters of chat.inject."""
    _check_text("the message", message)
    if not message.strip():
        raise UsageError(message="the message to inject is empty; nothing was sent", remedy="Give a text")
    if label is not None:
        _check_text("the label", label)
    if label is not None and len(label) > MAX_LABEL:
        raise UsageError(
            message=f"the label has {len(label)} characters, the gateway takes {MAX_LABEL}; nothing was sent",
            remedy="Use a shorter label",
        )
    return without_none({"sessionKey": check_session_key(session_key), "message": message, "label": label})


def _listed(attachments: Iterable[AttachmentLike] | None) -> tuple[AttachmentLike, ...]:
    if attachments is None:
        return ()
    if isinstance(attachments, Iterable) and not isinstance(attachments, Mapping | str | bytes):
        files = tuple(attachments)
        if all(isinstance(file, Attachment | Mapping) for file in files):
            return files
    raise UsageError(
        message="attachments is no list of attachments; nothing was sent",
        remedy="Pass a list of Attachment.from_path(…) or Attachment.from_bytes(…)",
    )


def _check_extra(extra: Mapping[str, Any]) -> None:
    for name in extra:
        if name in _OWN_NAMES:
            raise UsageError(
                message=f"{name} cannot be given by the gateway's name; nothing was sent",
                remedy=f"Use {_OWN_NAMES[name]} alone",
            )


def _check_wishes(system_prompt: object, model: object, thinking: object, extra: Mapping[str, Any]) -> None:
    """UsageError for what no gateway takes beside a message, and for what does not go together."""
    for name, value in (("system_prompt", system_prompt), ("model", model), ("thinking", thinking)):
        if value is not None:
            _check_text(f"{name}=", value)
            if not str(value).strip():
                raise UsageError(message=f"{name}= is empty; nothing was sent", remedy="Leave it out, or give one")
    if (system_prompt is not None or model is not None) and extra.get("queueMode") is not None:
        raise UsageError(
            message="queueMode= does not go with system_prompt= or model=: their run waits for its own turn; "
            "nothing was sent",
            remedy="Leave queueMode= out, or the other two",
        )


def _check_key(key: str) -> None:
    """UsageError for a key that costs the answer: 2026.9.6 asks the model for one with white space at an end, and then
    fails to write the answer down. Control characters come from reading a line, too."""
    if all(map(_is_space, key)):
        raise UsageError(message="the idempotency key is empty; nothing was sent", remedy="Leave it out, or give one")
    if _is_space(key[0]) or _is_space(key[-1]):
        raise UsageError(
            message=f"the idempotency key {key!r} has white space at an end, where gateways lose the run's answer; "
            "nothing was sent",
            remedy="Use key.strip()",
        )
    if any(category(char) in _CONTROL for char in key):
        raise UsageError(
            message=f"the idempotency key {key!r} holds a control character; nothing was sent",
            remedy="Use printable characters, such as those of a UUID",
        )


def _is_space(char: str) -> bool:
    """White space as a gateway knows it: the byte order mark is among it."""
    return char.isspace() or char == "\ufeff"


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise UsageError(message=f"{what} must be text, not {type(value).__name__}", remedy="Pass a str")
    try:
        value.encode()
    except UnicodeEncodeError:
        # Raised below: this error quotes the whole text.
        pass
    else:
        return
    raise UsageError(
        message=f"{what} holds bytes of another encoding, or halves of characters; nothing was sent",
        remedy="Decode it in the encoding that it has, such as latin-1",
    )


def abort_result(payload: Any) -> AbortResult:
    fields = payload if isinstance(payload, dict) else {}
    ids = fields.get("runIds")
    run_ids = tuple(item for item in ids if isinstance(item, str)) if isinstance(ids, list) else ()
    return AbortResult(fields.get("aborted") is True, run_ids)


def inject_result(payload: Any) -> InjectResult:
    ident = payload.get("messageId") if isinstance(payload, dict) else None
    return InjectResult(ident if isinstance(ident, str) else "")


def without_none(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that have a value: a gateway takes `null` for a value of the wrong type."""
    return {name: value for name, value in params.items() if value is not None}
