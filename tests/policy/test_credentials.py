"""Credential selection against a literal reading of the gateway's rules, over every combination of inputs."""

from __future__ import annotations

import copy
import itertools
import pickle
import traceback
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from openclaw_client.errors import UsageError
from openclaw_client.policy.credentials import (
    AuthInput,
    Selection,
    clarify,
    may_retry_with_stored,
    select,
    trusted_endpoint,
    wants_too_much,
)
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.handshake import AuthFields

DEFAULT = ("default",)
EXPLICIT = ("explicit",)
FLAGS = (False, True)


@dataclass(frozen=True)
class Stored:
    token: str
    scopes: tuple[str, ...] = ("stored",)


def rules(T: str, B: str, D: str, P: str, S: str, R: bool, trusted: bool) -> tuple[dict[str, str], str, bool]:  # noqa: N803
    """The rules with the letters of the protocol notes; empty = absent. Returns auth, signed token, uses stored."""
    use_retry = bool(R and not D and T and S and trusted)
    if D:
        resolved = D
    elif use_retry or (not (T or P) and (not B or S)):
        resolved = S
    else:
        resolved = ""
    auth = {
        "token": T or resolved,
        "deviceToken": (S if use_retry else "") or resolved,
        "bootstrapToken": B if not T and not resolved and not P else "",
        "password": P,
    }
    signed = auth["token"] or auth["bootstrapToken"]
    return {key: value for key, value in auth.items() if value}, signed, bool(resolved and not D)


def wire(selection: Selection) -> dict[str, Any]:
    if selection.auth is None:
        return {}
    sent: dict[str, Any] = msgspec.to_builtins(selection.auth)
    # An `auth` without keys would be sent as {}.
    assert sent
    return sent


@pytest.mark.parametrize("compat", FLAGS, ids=["full", "compat"])
def test_every_combination(compat: bool) -> None:
    seen = 0
    for t, b, d, p, s, retry, trusted in itertools.product(
        ("", "T"), ("", "B"), ("", "D"), ("", "P"), ("", "S"), FLAGS, FLAGS
    ):
        for scopes, stored_scopes in itertools.product((None, (), EXPLICIT), ((), ("stored",))):
            auth, signed, uses_stored = rules(t, b, d, p, s, retry, trusted)
            device_token = auth.get("deviceToken")
            if compat:
                # The key is unknown there; the retry's device token goes where the refused shared token was.
                auth.pop("deviceToken", None)
                if t and uses_stored:
                    auth["token"] = signed = s
            selection = select(
                AuthInput(token=t, bootstrap_token=b, device_token=d, password=p),
                Stored(s, stored_scopes) if s else None,
                scopes=scopes,
                default_scopes=DEFAULT,
                retry_with_stored=retry,
                trusted_endpoint=trusted,
                compat=compat,
            )
            case = (t, b, d, p, s, retry, trusted, scopes, stored_scopes)
            assert wire(selection) == auth, case
            assert (selection.signed_token or "") == signed, case
            assert selection.uses_stored == uses_stored, case
            assert selection.uses_device_token == (device_token is not None and device_token in auth.values()), case
            expected = scopes if scopes is not None else (stored_scopes if uses_stored else ()) or DEFAULT
            assert selection.scopes == expected, case
            # EXPLICIT is not among the stored scopes.
            assert selection.exceeds_stored == (uses_stored and bool(stored_scopes) and scopes == EXPLICIT), case
            seen += 1
    assert seen == 2**7 * 6


@pytest.mark.parametrize(
    ("given", "stored", "auth"),
    [
        ({}, None, None),
        ({}, Stored("S"), AuthFields(token="S", device_token="S")),
        ({"token": "T"}, Stored("S"), AuthFields(token="T")),
        ({"password": "P"}, Stored("S"), AuthFields(password="P")),
        ({"token": "T", "password": "P"}, None, AuthFields(token="T", password="P")),
        ({"device_token": "D"}, Stored("S"), AuthFields(token="D", device_token="D")),
        ({"token": "T", "device_token": "D"}, None, AuthFields(token="T", device_token="D")),
        ({"bootstrap_token": "B"}, None, AuthFields(bootstrap_token="B")),
        ({"bootstrap_token": "B"}, Stored("S"), AuthFields(token="S", device_token="S")),
        ({"token": "  "}, Stored(" "), None),
    ],
)
def test_the_common_cases_spelled_out(given: dict[str, str], stored: Stored | None, auth: AuthFields | None) -> None:
    assert select(AuthInput(**given), stored, scopes=None, default_scopes=DEFAULT).auth == auth


def test_values_are_trimmed_and_blank_ones_absent() -> None:
    credentials = AuthInput(token=" tok\r\n", password="", device_token="\t", bootstrap_token=None)
    assert credentials == AuthInput(token="tok")


@pytest.mark.parametrize("field", ["token", "device_token", "password", "bootstrap_token"])
@pytest.mark.parametrize("value", ["hush\nhush", "hush\x00x", "x\x7fhush", "x\u2028hush", "x\udcffhush"])
def test_control_characters_are_refused_without_showing_the_value(field: str, value: str) -> None:
    with pytest.raises(UsageError, match=rf"^{field} has a line break") as caught:
        AuthInput(**{field: value})
    assert "hush" not in "".join(traceback.format_exception_only(caught.value))


@pytest.mark.parametrize("value", [b"hush", 7, ["hush"]])
def test_other_types_are_refused_without_showing_the_value(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^token must be text, not") as caught:
        AuthInput(token=value)
    assert "hush" not in str(caught.value)


def test_no_repr_shows_a_secret() -> None:
    credentials = AuthInput(token="hush-t", password="hush-p", device_token="hush-d", bootstrap_token="hush-b")
    selection = select(credentials, Stored("hush-s"), scopes=None, default_scopes=DEFAULT)
    for shown in (repr(credentials), str(credentials), repr(selection), str(selection)):
        assert "hush" not in shown
    assert repr(AuthInput(token="x")) == "AuthInput(token=…)"
    for other in (pickle.loads(pickle.dumps(credentials)), copy.deepcopy(credentials)):
        assert other == credentials


@pytest.mark.parametrize(
    ("loopback", "tls", "pinned", "trusted"),
    [
        (True, False, False, True),
        (True, True, False, True),
        (True, False, True, True),
        (True, True, True, True),
        (False, True, True, True),
        (False, True, False, False),
        (False, False, True, False),
        (False, False, False, False),
    ],
)
def test_trusted_endpoint(loopback: bool, tls: bool, pinned: bool, trusted: bool) -> None:
    assert trusted_endpoint(loopback=loopback, tls=tls, pinned=pinned) is trusted


MISMATCH = ErrorShape(code="INVALID_REQUEST", details={"code": "AUTH_TOKEN_MISMATCH"})


def refused(credentials: AuthInput, stored: Stored | None) -> Selection:
    return select(credentials, stored, scopes=None, default_scopes=DEFAULT)


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (MISMATCH, True),
        (ErrorShape(message="unauthorized: gateway token mismatch (set the token)"), True),
        (ErrorShape(details={"code": "AUTH_UNAUTHORIZED", "canRetryWithDeviceToken": True}), True),
        (ErrorShape(details={"code": "AUTH_UNAUTHORIZED", "recommendedNextStep": "retry_with_device_token"}), True),
        (ErrorShape(details={"code": "AUTH_UNAUTHORIZED", "canRetryWithDeviceToken": "yes"}), False),
        (ErrorShape(details={"code": "AUTH_UNAUTHORIZED", "recommendedNextStep": "wait_then_retry"}), False),
        (ErrorShape(details={"code": "AUTH_DEVICE_TOKEN_MISMATCH"}), False),
        (ErrorShape(message="device token mismatch"), False),
        (ErrorShape(), False),
    ],
)
def test_which_refusals_are_worth_the_stored_token(error: ErrorShape, worth: bool) -> None:
    credentials, stored = AuthInput(token="T"), Stored("S")
    assert worth == may_retry_with_stored(
        error,
        credentials=credentials,
        stored=stored,
        refused=refused(credentials, stored),
        trusted_endpoint=True,
        retried=False,
    )


@pytest.mark.parametrize(
    ("given", "stored", "trusted", "retried"),
    [
        pytest.param({"token": "T"}, Stored("S"), True, True, id="only once"),
        pytest.param({"token": "T"}, Stored("S"), False, False, id="not to just anybody"),
        pytest.param({"token": "T"}, None, True, False, id="nothing stored"),
        pytest.param({"token": "T"}, Stored(" "), True, False, id="a blank one stored"),
        pytest.param({"password": "P"}, Stored("S"), True, False, id="no shared token"),
        pytest.param({"token": "T", "device_token": "D"}, Stored("S"), True, False, id="a device token was sent"),
        pytest.param({}, Stored("S"), True, False, id="the stored one was sent"),
    ],
)
def test_when_the_stored_token_stays_where_it_is(
    given: dict[str, str], stored: Stored | None, trusted: bool, retried: bool
) -> None:
    credentials = AuthInput(**given)
    assert not may_retry_with_stored(
        MISMATCH,
        credentials=credentials,
        stored=stored,
        refused=refused(credentials, stored),
        trusted_endpoint=trusted,
        retried=retried,
    )


def test_a_configured_device_token_that_compat_left_out_is_not_replaced_by_the_stored_one() -> None:
    credentials, stored = AuthInput(token="T", device_token="D"), Stored("S")
    sent = select(credentials, stored, scopes=None, default_scopes=DEFAULT, compat=True)
    assert sent.auth == AuthFields(token="T")
    assert not sent.uses_device_token
    assert not may_retry_with_stored(
        MISMATCH, credentials=credentials, stored=stored, refused=sent, trusted_endpoint=True, retried=False
    )


def test_the_retry_ends_where_it_was_refused() -> None:
    credentials, stored = AuthInput(token="T"), Stored("S")
    again = select(
        credentials, stored, scopes=None, default_scopes=DEFAULT, retry_with_stored=True, trusted_endpoint=True
    )
    assert again.auth == AuthFields(token="T", device_token="S")
    assert again.signed_token == "T"
    advice = ErrorShape(details={"code": "AUTH_TOKEN_MISMATCH", "canRetryWithDeviceToken": True})
    assert not may_retry_with_stored(
        advice, credentials=credentials, stored=stored, refused=again, trusted_endpoint=True, retried=False
    )


def test_a_device_token_mismatch_without_a_device_token_is_one_of_the_shared_token() -> None:
    text = ErrorShape(message="unauthorized: device token mismatch (rotate/reissue device token)")
    shared = select(AuthInput(token="shared"), None, scopes=None, default_scopes=())
    stored = select(AuthInput(), Stored("kept"), scopes=None, default_scopes=())
    assert clarify(text, shared).detail("code") == "AUTH_TOKEN_MISMATCH"
    assert clarify(text, stored) is text
    other = ErrorShape(message="unauthorized: gateway token mismatch")
    assert clarify(other, shared) is other


def test_a_good_device_token_with_too_many_scopes_is_told_from_a_bad_one() -> None:
    text = ErrorShape(message="unauthorized: device token mismatch")
    stored = Stored("kept", ("operator.read",))
    more = select(AuthInput(), stored, scopes=("operator.read", "operator.write"), default_scopes=())
    assert more.exceeds_stored
    assert clarify(text, more).message.endswith("more scopes than were approved for it)")
    as_many = select(AuthInput(), stored, scopes=("operator.read",), default_scopes=())
    assert clarify(text, as_many) is text


BONUS = ("operator.questions",)


def test_bonus_scopes_are_asked_for_beside_whatever_counts() -> None:
    for stored, scopes, asked in (
        (None, None, (*DEFAULT, *BONUS)),
        (Stored("s"), None, ("stored", *BONUS)),
        (Stored("s", ("operator.admin",)), None, ("operator.admin",)),
        (Stored("s"), EXPLICIT, EXPLICIT),
    ):
        selected = select(AuthInput(), stored, scopes=scopes, default_scopes=DEFAULT, bonus_scopes=BONUS)
        assert selected.scopes == asked


def refusal(code: str, **details: Any) -> ErrorShape:
    return ErrorShape(code="NOT_PAIRED", message="no", details={"code": code, **details})


def test_a_connect_is_made_without_them_where_they_are_what_was_refused() -> None:
    fresh = select(AuthInput(token="T"), None, scopes=None, default_scopes=DEFAULT, bonus_scopes=BONUS)
    kept = select(AuthInput(), Stored("s"), scopes=None, default_scopes=DEFAULT, bonus_scopes=BONUS)
    approved = select(AuthInput(), Stored("s", BONUS), scopes=None, default_scopes=DEFAULT, bonus_scopes=BONUS)
    upgrade, mismatch = refusal("PAIRING_REQUIRED", reason="scope-upgrade"), refusal("AUTH_DEVICE_TOKEN_MISMATCH")
    assert wants_too_much(upgrade, fresh, BONUS)
    assert wants_too_much(mismatch, kept, BONUS)
    # The device has them: its token is a wrong one.
    assert not wants_too_much(mismatch, approved, BONUS)
    assert not wants_too_much(mismatch, fresh, BONUS)
    assert wants_too_much(refusal("AUTH_SCOPE_MISMATCH"), kept, BONUS)
    assert not wants_too_much(refusal("AUTH_SCOPE_MISMATCH"), fresh, BONUS)
    # 2026.2.17 gives no reason.
    assert wants_too_much(refusal("PAIRING_REQUIRED"), fresh, BONUS)
    assert not wants_too_much(refusal("PAIRING_REQUIRED", reason="not-paired"), fresh, BONUS)
    assert not wants_too_much(refusal("AUTH_TOKEN_MISMATCH"), fresh, BONUS)
    # They were not asked for.
    assert not wants_too_much(upgrade, fresh, ())
    without = select(AuthInput(token="T"), None, scopes=None, default_scopes=DEFAULT)
    assert not wants_too_much(upgrade, without, BONUS)
