"""The one table: whole, in sentences, the same in the docs, and used by whatever names a code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import openclaw_client
from openclaw_client.errors import Unreachable
from openclaw_client.policy.advice import (
    CLOSED,
    DECLINED,
    REFUSED,
    UNREACHED,
    Advice,
    Stage,
    advice_for,
    advice_for_close,
    remedy_for_message,
)
from openclaw_client.policy.diagnose import explain
from openclaw_client.wire import codes

SOURCE = Path(openclaw_client.__file__).parent
DOCUMENT = SOURCE.parents[1] / "docs" / "troubleshooting.md"
ROWS: dict[str, Advice] = {
    **UNREACHED,
    **REFUSED,
    **DECLINED,
    **{f"close {code}": advice for code, advice in CLOSED.items()},
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_it_means_and_in_one_sentence_what_to_do(name: str) -> None:
    advice = ROWS[name]
    assert advice.stage is None or advice.stage in get_args(Stage)
    assert not advice.meaning.endswith(".")
    assert advice.meaning[0].islower() or advice.meaning.startswith("Tailscale")
    assert advice.remedy[0].isupper()
    assert not re.search(r"[.!?](\s|$)", advice.remedy), advice.remedy


def test_no_code_stands_in_two_places() -> None:
    assert not UNREACHED.keys() & REFUSED.keys()
    assert not DECLINED.keys() & {*UNREACHED, *REFUSED}


def test_every_code_that_the_transport_names_is_in_the_table() -> None:
    sources = [path.read_text() for path in (SOURCE / "transport").glob("*.py")]
    sources += [(SOURCE / "connection" / "dialer.py").read_text(), (SOURCE / "policy" / "diagnose.py").read_text()]
    named = {name for text in sources for name in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', text)}
    named -= {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "AUTH_"}  # OpenSSL's
    assert named
    assert {name for name in named if advice_for(name) is None} == set()


def test_every_code_that_a_text_stands_for_is_in_the_table() -> None:
    assert {code for _, code in codes._TEXTS} <= REFUSED.keys()


@pytest.mark.parametrize(
    ("code", "row"),
    [
        ("HTTP_403", "HTTP_403"),
        ("HTTP_308", "HTTP_301"),
        ("HTTP_200", "HTTP_200"),
        ("HTTP_204", "HTTP"),
        ("HTTP_418", "HTTP"),
        ("AUTH_TOKEN_MISSING", "AUTH_TOKEN_MISSING"),
        ("BRAND_NEW", None),
        (None, None),
    ],
)
def test_a_code_finds_its_row(code: str | None, row: str | None) -> None:
    assert advice_for(code) == (None if row is None else ROWS[row])


@pytest.mark.parametrize(
    ("method", "text", "row"),
    [
        ("agent", "provider/model overrides are not authorized for this caller.", "OVERRIDE_NOT_AUTHORIZED"),
        ("agent", "invalid agent params: at root: unexpected property 'model'", "UNEXPECTED_PROPERTY"),
        ("chat.send", "invalid chat.send params: at root: unexpected property 'nope'", "UNEXPECTED_PROPERTY"),
        ("chat.send", "something else", None),
        ("sessions.list", "invalid sessions.list params: at root: unexpected property 'nope'", None),
    ],
)
def test_a_refused_message_finds_its_row(method: str, text: str, row: str | None) -> None:
    assert remedy_for_message(method, text) == ("" if row is None else DECLINED[row].remedy)


@pytest.mark.parametrize(("code", "row"), [(1012, 1012), (None, 1006), (4999, None)])
def test_a_close_code_finds_its_row(code: int | None, row: int | None) -> None:
    assert advice_for_close(code) == (None if row is None else CLOSED[row])


def test_an_error_is_explained_once() -> None:
    error = explain(Unreachable(detail_code="CONNECTION_REFUSED"))
    assert (error.stage, error.remedy) == ("tcp", UNREACHED["CONNECTION_REFUSED"].remedy)
    own = explain(Unreachable(detail_code="CONNECTION_REFUSED", stage="proxy", remedy="Mend the proxy."))
    assert (own.stage, own.remedy) == ("proxy", "Mend the proxy.")
    assert explain(Unreachable(detail_code="BRAND_NEW")).remedy == ""


def test_the_document_prints_the_table() -> None:
    """On a difference: the rows as they should be are in the failure."""
    printed = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if re.match(r"\| `[A-Zc]", line)]
    assert printed == [f"| `{name}` | {advice.meaning} | {advice.remedy} |" for name, advice in ROWS.items()]
