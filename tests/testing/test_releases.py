"""The table of releases and their order."""

from __future__ import annotations

import pytest

from openclaw_client.errors import UsageError
from openclaw_client.testing import PROFILES
from openclaw_client.testing.releases import release_key


def test_releases_compare_as_numbers() -> None:
    names = ["2026.10.1", "2026.9.6", "2026.2.17", "2026.10.12", "2027.1.0"]
    ordered = ["2026.2.17", "2026.9.6", "2026.10.1", "2026.10.12", "2027.1.0"]
    assert sorted(names, key=release_key) == ordered
    assert release_key("2026.9.6") == (2026, 9, 6)


@pytest.mark.parametrize("name", ["", "2026.9", "2026.9.6.1", "2026.9.x", "v2026.9.6", "2026..6", "²026.9.6"])
def test_what_is_no_release(name: str) -> None:
    with pytest.raises(UsageError, match="is no release"):
        release_key(name)


def test_the_table_goes_from_the_oldest_to_the_newest() -> None:
    assert [profile.release for profile in PROFILES.values()] == list(PROFILES)
    keys = [profile.key for profile in PROFILES.values()]
    assert keys == sorted(keys)
