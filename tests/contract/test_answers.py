"""What real clients ask for beside chat: whether an empty gateway answers in the shape of the real one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.targets import Target
from tests.gateways.raw import RawClient

pytestmark = pytest.mark.release("2026.9.6")
"""The release whose answers are known."""

KEYS: dict[str, str] = {
    "agents.list": "defaultId ownership selectionRequired mainKey scope agents",
    "channels.status": "ts channelOrder channelLabels channels channelAccounts channelDefaultAccountId "
    "channelMeta eventLoop",
    "chat.metadata": "models commands swarmEnabled accountSelection",
    "commands.list": "commands",
    "config.get": "path exists raw parsed sourceConfig resolved valid config runtimeConfig hash issues warnings "
    "legacyIssues",
    "cron.list": "jobs snapshotRevision total offset limit hasMore nextOffset deliveryPreviews",
    "cron.status": "enabled triggersEnabled storePath storage sqlitePath jobs nextWakeAtMs",
    "exec.approvals.get": "path exists file hash resolvedDefaults",
    "health": "ok ts durationMs plugins configReload channels channelOrder channelLabels heartbeatSeconds "
    "defaultAgentId agents sessions modelRuntime eventLoop",
    "logs.tail": "file cursor size lines truncated reset",
    "models.list": "models",
    "node.list": "ts nodes",
    "skills.status": "workspaceDir managedSkillsDir agentId skills",
    "status": "runtimeVersion heartbeat channelSummary queuedSystemEvents degradedSecretOwners degradedPlugins tasks "
    "taskAudit sessions modelRuntime eventLoop",
    "tasks.list": "tasks",
    "tools.catalog": "agentId profiles groups",
    "usage.cost": "updatedAt days daily totals cacheStatus",
    "usage.status": "updatedAt providers",
}
"""Of each answer to a call without parameters: keys that are there, on the real one among others."""


@pytest.mark.parametrize("method", KEYS)
def test_an_answer_has_its_keys(target: Target, method: str) -> None:
    with RawClient(url=target.url, token=target.token) as client:
        answer = client.request(method)
    assert set(KEYS[method].split()) <= answer.keys()


def test_the_start_of_a_chat_is_its_history_and_what_a_client_shows_beside_it(target: Target, session: str) -> None:
    with RawClient(url=target.url, token=target.token) as client:
        client.chat(session, "stub:echo words")
        started = client.request("chat.startup", {"sessionKey": session, "limit": 1})
        page = client.request("chat.history", {"sessionKey": session, "limit": 1})
    assert started["messages"] == page["messages"]
    assert (started["hasMore"], started["totalMessages"], started["thinkingLevel"]) == (True, 2, "off")
    assert {"models", "commands", "swarmEnabled", "accountSelection"} <= started["metadata"].keys()
    assert {"modelProvider", "model", "contextTokens", "thinkingLevels"} <= started["defaults"].keys()


def test_the_tools_of_a_session(target: Target, session: str) -> None:
    with RawClient(url=target.url, token=target.token) as client:
        client.chat(session, "stub:echo words")
        tools = client.request("tools.effective", {"sessionKey": session})
    assert (tools["agentId"], tools["profile"]) == ("main", "full")


def test_the_only_model_is_the_default(target: Target) -> None:
    with RawClient(url=target.url, token=target.token) as client:
        (model,) = client.request("models.list", {"view": "configured"})["models"]
    assert (model["tags"], model["available"], model["thinkingDefault"]) == (["default"], True, "off")
    assert {"id", "name", "provider", "contextWindow", "reasoning", "thinkingLevels"} <= model.keys()


def test_nothing_is_null_and_not_absent(target: Target) -> None:
    answers: list[dict[str, Any]] = []
    with RawClient(url=target.url, token=target.token, on_frame=lambda _way, frame: answers.append(frame)) as client:
        client.request("last-heartbeat")
    assert answers[-1]["payload"] is None
