"""The error tree: as drawn, made of fields, the same after pickling and copying, and without secrets."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import errors
from openclaw_client.errors import (
    ConnectError,
    ConnectionLost,
    GatewayError,
    IdentityError,
    MethodUnavailable,
    MissingScope,
    NotConnected,
    OutcomeUnknown,
    PairingRequired,
    PayloadTooLarge,
    ProtocolMismatch,
    RequestError,
    RequestFailed,
    RequestTimeout,
    RunError,
    RunFailed,
    RunLost,
    RunTimeout,
    TlsPinMismatch,
    Unreachable,
    UsageError,
)

CLASSES: list[type[GatewayError]] = [getattr(errors, name) for name in errors.__all__]

VALUES: dict[str, Any] = {
    "str": "told",
    "str | None": "told",
    "int": 7,
    "int | None": 7,
    "float | None": 2.5,
    "bool": True,
    "bool | None": True,
    "tuple[str, ...]": ("operator.read", "operator.write"),
    "Mapping[str, Any] | None": {"code": "X", "nested": {"list": [1, None]}},
    "Any": {"runId": "r"},
}


def full(kind: type[GatewayError]) -> GatewayError:
    """An error with every field set."""
    return kind(**{field.name: VALUES[str(field.type)] for field in dataclasses.fields(kind)})


def fields_of(error: GatewayError) -> dict[str, Any]:
    return {field.name: getattr(error, field.name) for field in dataclasses.fields(error)}


by_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def test_the_tree_is_as_drawn() -> None:
    parents: dict[str, set[str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"    ([│ ]*)(?:[├└]── )?([A-Z]\w+)", line)
        if drawn and (drawn[2] in errors.__all__):
            depth = len(drawn[1]) // 4 + (1 if "──" in line else 0)
            path[depth:] = [drawn[2]]
            parents.setdefault(drawn[2], set()).update(path[depth - 1 : depth] if depth else ())
    real = {kind.__name__: {base.__name__ for base in kind.__bases__} - {"Exception", "ValueError"} for kind in CLASSES}
    assert parents == real


@by_class
@pytest.mark.parametrize(
    "twin",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy, lambda error: error.again()],
    ids=["pickled", "copied", "deep-copied", "again"],
)
def test_a_twin_says_the_same(kind: type[GatewayError], twin: Callable[[GatewayError], GatewayError]) -> None:
    for error in (full(kind), kind()):
        other = twin(error)
        assert other is not error
        assert type(other) is kind
        assert (str(other), repr(other), fields_of(other)) == (str(error), repr(error), fields_of(error))


@by_class
def test_every_error_has_a_sentence_even_without_fields(kind: type[GatewayError]) -> None:
    said = str(kind())
    assert len(said) > 10
    assert said.endswith(".")
    assert not said.endswith("..")
    assert repr(kind()) == f"{kind.__name__}({said!r})"


@by_class
def test_the_remedy_comes_last(kind: type[GatewayError]) -> None:
    assert str(kind(message="it broke", remedy="Mend it.")).endswith(". Mend it.")


@by_class
def test_every_class_says_what_it_means(kind: type[GatewayError]) -> None:
    assert inspect.cleandoc(kind.__doc__ or "").split("\n")[0].endswith(".")
    assert not (kind.__doc__ or "").startswith(f"{kind.__name__}(")


@by_class
def test_nothing_of_the_gateways_own_data_is_shown(kind: type[GatewayError]) -> None:
    hidden = {"details": {"token": "sesame"}, "payload": {"token": "sesame"}, "detail": {"token": "sesame"}}
    hidden |= {"idempotency_key": "sesame", "partial_text": "sesame"}
    names = {field.name for field in dataclasses.fields(kind)}
    error = kind(**{name: value for name, value in hidden.items() if name in names})
    assert "sesame" not in str(error) + repr(error) + "".join(traceback.format_exception(error))


def test_raised_again_the_cause_is_kept_and_the_traceback_is_not() -> None:
    cause = OSError("refused")
    try:
        raise Unreachable(message="no gateway") from cause
    except Unreachable as caught:
        first = caught
    twin = first.again()
    assert (twin.__cause__, twin.__traceback__) == (cause, None)
    assert first.__traceback__ is not None
    twin.idempotency_key = "changed"  # type: ignore[attr-defined]
    assert not hasattr(first, "idempotency_key")


@pytest.mark.parametrize("kind", [UsageError, NotConnected])
def test_wrong_use_is_a_value_error(kind: type[UsageError]) -> None:
    with pytest.raises(ValueError, match="no good"):
        raise kind(message="no good")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GatewayError(message="it broke"), "it broke."),
        (GatewayError(message="it broke.", remedy="Mend it."), "it broke. Mend it."),
        (IdentityError(message="bad file.", path="/home/me/key"), "bad file (/home/me/key)."),
        (
            ConnectError(message="no.", url="ws://h", code="A", detail_code="B", close_code=1008),
            "no (ws://h) [B, close 1008].",
        ),
        (ConnectError(message="no", code="A"), "no [A]."),
        (ConnectError(message="no", close_code=1008, close_reason="why", detail_code="A"), "no [A, close 1008]."),
        (ConnectError(message="no", close_code=1008, close_reason="why"), "no [close 1008 'why']."),
        (ConnectError(message="no", close_code=0), "no [close 0]."),
        (
            ConnectError(message="no", attempt=3, gateway_version="2026.9.6", connection_id="0123456789abcdef"),
            "no [attempt 3, gateway 2026.9.6, connection 01234567].",
        ),
        (
            ConnectError(message="unauthorized: no", attempt=1, close_code=1008, close_reason="unauthorized: no"),
            "unauthorized: no [close 1008].",
        ),
        (Unreachable(), "The gateway cannot be reached."),
        (
            ProtocolMismatch(client_min=3, client_max=4, expected=5),
            (
                "The gateway and this client have no protocol version in common; this client speaks 3 to 4, "
                "the gateway wants 5."
            ),
        ),
        (
            PairingRequired(message="not yet", request_id="r-1", reason="not-paired"),
            "not yet: not-paired; approve it with `openclaw devices approve r-1`.",
        ),
        (PairingRequired(message="not yet"), "not yet; approve it with `openclaw devices list`."),
        (TlsPinMismatch(message="wrong", expected="aa", actual="bb"), "wrong: pinned aa, presented bb."),
        (
            ConnectionLost(message="gone", close_code=1012, close_reason="restart", last_frame_age=1.25, sent=True),
            "gone; the request had been sent [close 1012 'restart', last frame 1.2 s ago].",
        ),
        (ConnectionLost(message="gone", close_code=1006, sent=False), "gone; the request was not sent [close 1006]."),
        (RequestError(method="m", message="no"), "m: no."),
        (RequestFailed(method="m", message="no.", code="A", detail_code="B"), "m: no [B]."),
        (RequestFailed(message="no", code="A"), "no [A]."),
        (
            MethodUnavailable(method="a.b", gateway_version="2026.9.6", suggestion="a.c", detail_code="X"),
            "2026.9.6 has no method a.b; did you mean a.c? [X, gateway 2026.9.6].",
        ),
        (MissingScope(missing=("a",), granted=("b", "c")), "missing scope a; granted: b, c."),
        (
            MissingScope(missing=("a",), detail_code="X", close_code=1008),
            "missing scope a; granted: none [X, close 1008].",
        ),
        (MissingScope(method="m"), "m: missing scope (unknown); granted: none."),
        (
            RequestTimeout(method="m", timeout=30.0),
            "m: no answer within 30 s; whether the gateway acted on it is unknown.",
        ),
        (RequestTimeout(), "no answer; whether the gateway acted on it is unknown."),
        (OutcomeUnknown(method="m", message="gone", sent=True), "m: gone; the request had been sent."),
        (PayloadTooLarge(method="m", size=5, limit=4), "m: the request has 5 bytes, the limit is 4; nothing was sent."),
        (
            PayloadTooLarge(what="the label", unit="characters", size=5, limit=4),
            "the label has 5 characters, the limit is 4; nothing was sent.",
        ),
        (RunError(run_id="r", message="over."), "run r: over."),
        (RunFailed(run_id="r", message="boom", partial_text="four"), "run r: boom (4 characters had arrived)."),
        (RunLost(run_id="r"), "run r: How the run ended is not known."),
        (
            RunTimeout(run_id="r", limit="idle", timeout=2.5),
            "run r: the idle time limit of 2.5 s passed; the run goes on at the gateway.",
        ),
        (RunTimeout(run_id="r"), "run r: the total time limit passed; the run goes on at the gateway."),
    ],
)
def test_the_sentence_is_made_of_the_fields(error: GatewayError, said: str) -> None:
    assert str(error) == said


@by_class
def test_every_error_can_tell_what_was_known_of_the_connection(kind: type[GatewayError]) -> None:
    known = {
        "close_code": 1012,
        "close_reason": "restart",
        "connection_id": "3f6c0d7e-whole",
        "attempt": 2,
        "gateway_version": "2026.9.6",
        "last_frame_age": 61.26,
    }
    error = kind(message="it broke", remedy="Mend it.", **known)
    assert {name: getattr(error, name) for name in known} == known
    told = "[close 1012 'restart', attempt 2, gateway 2026.9.6, connection 3f6c0d7e, last frame 61.3 s ago]. Mend it."
    assert str(error).endswith(told)
    error.last_frame_age = 0.9
    assert "last frame" not in str(error)


@by_class
def test_an_error_is_where_users_import_it_from(kind: type[GatewayError]) -> None:
    assert kind.__module__ == "openclaw_client.errors"
