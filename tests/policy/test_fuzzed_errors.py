"""Whatever a gateway says in an error, the caller gets a typed error with a sentence, and never one of our own making.

Seeded, so that a failure comes back; half of the bodies are made of what gateways do say, in the wrong places.
"""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import msgspec
import pytest

from openclaw_client.errors import ConnectError, RequestFailed
from openclaw_client.policy.credentials import AuthInput, clarify, select
from openclaw_client.policy.diagnose import Attempt, closed_early, refusal, request_failure
from openclaw_client.policy.redact import Redactor
from openclaw_client.policy.verdict import Action, judge_close, judge_refusal
from openclaw_client.wire.frames import ErrorShape, Response, decode_frame
from tests.policy.bodies import BODIES, fuzzed_body

ATTEMPT = Attempt("ws://127.0.0.1:1", requested_scopes=("operator.read",))
SELECTIONS = [
    select(AuthInput(token="T"), None, scopes=None, default_scopes=("operator.read",)),
    select(AuthInput(device_token="D"), None, scopes=None, default_scopes=("operator.read",)),
]


def read(body: Any) -> ErrorShape | None:
    """The error of a response that carries this body, by the way that it takes on the wire."""
    frame = decode_frame(msgspec.json.encode({"type": "res", "id": "1", "ok": False, "error": body}))
    # A response that cannot be read is none, and then there is nothing to tell apart.
    return frame.error if isinstance(frame, Response) else None


@pytest.mark.parametrize("seed", range(10))
def test_every_error_body_becomes_a_typed_error(seed: int) -> None:
    source, understood = random.Random(seed), 0
    for _ in range(BODIES // 10):
        body = fuzzed_body(source)
        error = read(body)
        if error is None:
            error = ErrorShape(message="the gateway refused the request without saying why")
        else:
            understood += 1
        error = Redactor(["secret"]).error(error)
        for selection in SELECTIONS:
            clear = clarify(error, selection)
            verdict = judge_refusal(clear)
            assert (verdict.delay is not None) is (verdict.action is Action.WAIT), body
            assert verdict.delay is None or verdict.delay >= 0, body
            failures = [refusal(clear, ATTEMPT), request_failure("m", clear, None, granted=("operator.read",))]
            assert isinstance(failures[0], ConnectError), body
            assert isinstance(failures[1], RequestFailed), body
            for failure in failures:
                check(failure, body)
    # Not only nonsense.
    assert understood > BODIES // 40


def check(failure: Exception, body: Any) -> None:
    assert str(failure).strip(), body
    assert repr(failure), body
    for twin in (copy.copy(failure), pickle.loads(pickle.dumps(failure))):
        assert str(twin) == str(failure), body


@pytest.mark.parametrize("seed", range(4))
def test_every_close_becomes_a_typed_error(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(500):
        body = fuzzed_body(source)
        reason = body.get("message") if isinstance(body, dict) else body
        reason = reason if isinstance(reason, str) else ""
        code = source.choice([None, 1000, 1002, 1006, 1008, 1012, 1013, 4001, source.randrange(5000)])
        assert judge_close(code, reason).action in Action
        failure = closed_early(Attempt("ws://127.0.0.1:1", close_code=code, close_reason=reason))
        assert isinstance(failure, ConnectError)
        check(failure, body)
