"""Which messages are meant for the run that is under way, by release."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.commands import is_command, is_stop_word, jumps_the_queue, vocabulary

RELEASES = ("2026.2.17", "2026.4.15", "2026.5.12", "2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6")
UNKNOWN = (None, "", "dev", "1.2", "main-4f2c")


def at(first: str, last: str = "2026.9.6") -> tuple[str, ...]:
    """The releases from one to another."""
    return RELEASES[RELEASES.index(first) : RELEASES.index(last) + 1]


@pytest.mark.parametrize(
    ("message", "releases"),
    [
        ("stop", RELEASES),
        ("  STOP\n", RELEASES),
        ("\ufeffstop\u3000", RELEASES),
        ("st\x07op", RELEASES),
        ("/stop", RELEASES),
        (" /STOP ", RELEASES),
        ("/stop:", RELEASES),
        ("/stop\nnow", RELEASES),
        ("interrupt", RELEASES),
        ("wait", at("2026.2.17", "2026.6.1")),
        ("Wait!", at("2026.4.15", "2026.6.1")),
        ("stop!", at("2026.4.15")),
        ("Stop ...", at("2026.4.15")),
        ("/stop !", at("2026.4.15")),
        ("please stop", at("2026.4.15")),
        ("Please  stop.", at("2026.4.15")),
        ("halt", at("2026.4.15")),
        ("stop don't do anything", at("2026.4.15")),
        ("stop don\u2019t do anything", at("2026.4.15")),
        ("stop don`t do anything\u201d)", at("2026.4.15")),
        ("detén", at("2026.4.15")),
        (unicodedata.normalize("NFD", "detén"), at("2026.4.15")),
        ("СТОП。", at("2026.4.15")),
        ("停止", at("2026.4.15")),
        ("停止\uff01", at("2026.6.1")),
        ("暂停", at("2026.6.1")),
        # No stop words, however near.
        ("", ()),
        (" ", ()),
        ("!", ()),
        ("stop it", ()),
        ("/stop now", ()),
        ("// stop", ()),
        ("/ stop", ()),
        ("stop stop", ()),
        ("\nwaiting", ()),
        ("don't stop", ()),
        ("'stop'", ()),
        ("/etc/hosts — what is this file for?", ()),
    ],
)
def test_stop_words(message: str, releases: tuple[str, ...]) -> None:
    assert tuple(release for release in RELEASES if is_stop_word(message, release)) == releases
    for release in RELEASES:
        assert jumps_the_queue(message, release) or release not in releases


@pytest.mark.parametrize(
    ("message", "releases"),
    [
        ("/status", RELEASES),
        ("/Status ", RELEASES),
        ("/status:", RELEASES),
        ("/status\nand more", RELEASES),
        ("/status, please", ()),
        # From 2026.7.35 on it may be given something; before, that makes it a message.
        ("/status please", at("2026.7.35")),
        ("/help", RELEASES),
        ("/help me with my homework", ()),
        ("/model", RELEASES),
        ("/model mock-2", RELEASES),
        ("/model:mock-2", RELEASES),
        ("/model : mock-2", RELEASES),
        ("/new\u3000Hello", RELEASES),
        ("/btw what time is it?", at("2026.4.15")),
        ("/side what time is it?", at("2026.5.12")),
        ("/kill", at("2026.2.17", "2026.5.12")),
        ("/crestodian", at("2026.5.12", "2026.7.35")),
        ("/focus here", at("2026.4.15", "2026.8.1")),
        ("/update", at("2026.9.6")),
        ("/update everything", ()),
        # What is no command is a message.
        ("/etc/hosts — what is this file for?", ()),
        ("/etc", ()),
        ("/models/small is what I mean", ()),
        ("/", ()),
        ("//status", ()),
        ("/ status", ()),
        (":status", ()),
        ("see /status", ()),
        ("/my-skill do it", ()),
        ("status", ()),
        ("", ()),
    ],
)
def test_commands(message: str, releases: tuple[str, ...]) -> None:
    assert tuple(release for release in RELEASES if is_command(message, release)) == releases
    for release in RELEASES:
        assert jumps_the_queue(message, release) is (release in releases)


@pytest.mark.parametrize("version", UNKNOWN)
def test_where_the_release_is_not_known_only_what_all_have_counts(version: str | None) -> None:
    for message in ("stop", "/stop", "esc", "/status", "/model x", "/new Hello"):
        assert jumps_the_queue(message, version), message
    for message in ("wait", "stop!", "please stop", "/status now", "/btw x", "/kill", "/etc/hosts — what?", "Hello"):
        assert not jumps_the_queue(message, version), message


@pytest.mark.parametrize(
    ("version", "message", "jumps"),
    [
        # Numbers are compared as numbers: 2026.10 is behind 2026.9, and 7.35 behind 7.4.
        ("2026.10.1", "/update", True),
        ("2026.9.10", "/update", True),
        ("2027.1.1", "/update", True),
        ("2026.7.4", "wait", False),
        # Between two releases: what both have.
        ("2026.6.35", "wait", False),
        ("2026.5.28", "wait", True),
        ("2026.5.28", "/kill", False),
        ("2026.5.28", "暂停", False),
        ("2026.3.8", "halt", False),
        ("2026.3.8", "wait", True),
        ("2026.7.1", "/status", True),
        ("2026.7.1", "/status now", False),
        # Before the first.
        ("2026.1.30", "wait", True),
        ("2026.1.30", "halt", False),
        ("2025.12.31", "/model x", True),
        # Names of builds.
        ("2026.9.6-beta.1", "/update", True),
        ("2026.6.1-2", "wait", True),
    ],
)
def test_releases_between_behind_and_before_the_known_ones(version: str, message: str, jumps: bool) -> None:
    assert jumps_the_queue(message, version) is jumps


@pytest.mark.parametrize(
    ("release", "words", "names"),
    list(zip(RELEASES, (6, 42, 42, 44, 43, 43, 43), (40, 53, 58, 58, 61, 62, 62), strict=True)),
)
def test_how_many_there_are(release: str, words: int, names: int) -> None:
    known = vocabulary(release)
    assert len(known.words) == words
    assert len(known.names | known.bare) == names
    assert not known.names & known.bare


@given(message=st.text(), version=st.sampled_from([*RELEASES, *UNKNOWN]) | st.text())
def test_any_message_is_one_or_the_other(message: str, version: str | None) -> None:
    assert isinstance(jumps_the_queue(message, version), bool)
    if jumps_the_queue(message, None):
        # What counts everywhere counts in each release.
        assert all(jumps_the_queue(message, release) for release in RELEASES)
