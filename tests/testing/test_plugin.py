"""The pytest plugin, in sub-sessions of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

QUIET = ("-p", "no:cacheprovider", "-p", "no:asyncio")
"""What a sub-session can do without: one plugin writes files, one complains about a setting of this project."""

SUITE = """
import pytest
from openclaw_client.testing import scripts

def test_client(openclaw_client, openclaw_gateway):
    assert openclaw_client.connected
    assert openclaw_client.chat_send(session_key="main", message="hi").text == "echo: hi"
    assert openclaw_gateway.seen.requests["chat.send"] == 1

@pytest.mark.openclaw_gateway(scripts.says("as", " told"), release="2026.2.17")
def test_marker(openclaw_client, openclaw_gateway):
    assert openclaw_client.negotiated_protocol == 3
    assert openclaw_client.chat_send(session_key="main", message="hi").text == "as told"

@pytest.mark.openclaw_gateway(password="of this test")
def test_password(openclaw_client):
    assert openclaw_client.request("health")["ok"] is True

def test_a_gateway_for_each_test(openclaw_gateway):
    assert openclaw_gateway.seen.opened == 0
"""


def test_the_fixtures_and_the_marker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    pytester.runpytest_inprocess(*QUIET, "--strict-markers").assert_outcomes(passed=4)


def test_no_home_folder_is_touched(pytester: pytest.Pytester, own_home: Path) -> None:
    pytester.makepyfile("def test(openclaw_client): assert openclaw_client.connected")
    pytester.runpytest_inprocess(*QUIET).assert_outcomes(passed=1)
    assert list(own_home.iterdir()) == []


def test_loading_the_plugin_does_not_load_the_gateway() -> None:
    code = (
        "import sys, openclaw_client.pytest_plugin as plugin; assert plugin.MARKER;"
        "print([name for name in sys.modules if name.startswith('openclaw_client.testing')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
