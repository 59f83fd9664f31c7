"""The npm package @openclaw/gateway-client: what it and the terminal interface call beside chat is answered as by the
real gateway."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.contract.targets import Target
from tests.gateways.install import InstallFailed, install_node_client, node_binary

pytestmark = [
    pytest.mark.release("2026.9.6"),
    pytest.mark.only(gateways="real"),
]

PACKAGE, VERSION = "@openclaw/gateway-client", "2026.9.1"
"""The latest that there is."""

PATIENCE = 60.0
"""Seconds for all calls; they take two."""

SESSION = "reference-client"
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sessions.create", {"key": SESSION, "emitCommandHooks": False}),
    ("sessions.describe", {"key": SESSION, "agentId": "main"}),
    ("sessions.resolve", {"key": SESSION}),
    ("sessions.patch", {"key": SESSION, "verboseLevel": "off"}),
    ("config.get", {}),
    ("commands.list", {}),
    ("models.list", {"includeDetails": True}),
    ("chat.abort", {"sessionKey": SESSION, "preserveSideRuns": True}),
    ("artifacts.download", {"sessionKey": SESSION, "artifactId": "nobody's"}),
    ("question.list", {}),
    ("question.get", {"id": "nobody's"}),
    ("question.resolve", {"id": "nobody's", "answers": {"answers": {}}}),
    ("plugin.approval.list", {}),
    ("plugin.approval.resolve", {"id": "nobody's", "decision": "deny"}),
    ("taskSuggestions.list", {}),
    ("taskSuggestions.accept", {"taskId": "nobody's", "mode": "local"}),
    ("taskSuggestions.dismiss", {"taskId": "nobody's"}),
    ("sessions.messages.subscribe", {"key": SESSION}),
    ("sessions.messages.unsubscribe", {"key": SESSION}),
    ("device.scopes.requestUpgrade", {"scopes": ["operator.admin"]}),
    ("device.scopes.waitUpgrade", {"requestId": "nobody's"}),
)
"""What the package itself calls, and the methods of the gateway's own terminal interface, which is built on it."""


@pytest.fixture(scope="module")
def module() -> Path:
    try:
        return install_node_client(PACKAGE, VERSION) / "dist" / "index.mjs"
    except InstallFailed as failed:
        pytest.skip(f"{PACKAGE} cannot be installed here: {failed}")


def answers(module: Path, url: str, token: str) -> list[dict[str, Any]]:
    """What each call came to."""
    script = Path(__file__).with_name("reference.mjs")
    ran = subprocess.run(
        [str(node_binary()), str(script), module.as_uri(), url, token, json.dumps(CALLS)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_every_call_is_answered_as_by_the_real_one(target: Target, module: Path) -> None:
    with BlockingEmbeddedGateway() as embedded:
        assert embedded.token is not None
        ours = answers(module, embedded.url, embedded.token)
    theirs = answers(module, target.url, target.token)
    assert [one["method"] for one in ours] == [method for method, _ in CALLS]
    for our, their in zip(ours, theirs, strict=True):
        assert [our.get(name) for name in ("code", "message")] == [their.get(name) for name in ("code", "message")]
        assert type(our.get("payload")) is type(their.get("payload")), our
        if isinstance(our.get("payload"), dict):
            assert our["payload"].keys() <= their["payload"].keys(), our
