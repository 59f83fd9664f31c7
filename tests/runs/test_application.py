"""By which keys an application knows its own runs."""

from __future__ import annotations

import pytest

from openclaw_client.chat import arguments
from openclaw_client.errors import UsageError
from openclaw_client.runs.application import Application, application_of


@pytest.mark.parametrize("name", ["shop", "a", "shop_2", "desk", "sky", "x" * 32])
def test_a_name_begins_the_keys(name: str) -> None:
    application = Application(name)
    key = arguments.new_run_id(application)
    assert key.startswith(f"{name}-")
    assert len(key) == len(name) + 1 + 36
    assert application.has(key)
    assert repr(application) == f"Application({name!r})"


@pytest.mark.parametrize("key", [None, "", "shop", "shopping-1", "Shop-1", "4000f6ac-4954-4037-8bfc-0123456789ab"])
def test_other_keys_are_none_of_its_own(key: str | None) -> None:
    assert not Application("shop").has(key)


@pytest.mark.parametrize("name", ["", "Shop", "a-b", "a b", "ä", "x" * 33, "shop\n", 5, b"shop"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of an application"):
        Application(name)


@pytest.mark.parametrize(
    "name", ["sk", "pplx", "my_glpat", "xoxb", "gsk_shop", "hf_shop_of_ours", "npm_x", "ghp_x", "sk_live_shop"]
)
def test_a_name_that_gateways_take_for_a_secret_s(name: str) -> None:
    with pytest.raises(UsageError, match="take keys that begin so for secrets"):
        Application(name)


def test_without_a_name_there_is_none() -> None:
    assert application_of(None) is None
    made = application_of("shop")
    assert made is not None
    assert made.name == "shop"
