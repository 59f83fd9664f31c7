"""What real clients ask for beside chat, of a gateway with one agent and one model, and nothing else configured.

Knows shapes, as recorded on 2026.9.6. Nothing here changes: no channel, skill, job, task or core tool is ever there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from openclaw_client.testing.callers import Caller, Params
from openclaw_client.testing.history import History
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.registry import ADMIN, READ, Family, Method
from openclaw_client.testing.session_rows import DEFAULTS, MODEL
from openclaw_client.testing.shapes import LOOP, PLACE

CONFIG: Final[dict[str, Any]] = {
    "gateway": {"mode": "local", "bind": "loopback"},
    "agents": {"defaults": {"model": {"primary": "embedded/embedded-1"}}, "entries": {"main": {}}},
}


def _command(name: str, description: str, category: str) -> Params:
    return {
        "name": name,
        "nativeName": name,
        "textAliases": [f"/{name}"],
        "description": description,
        "category": category,
        "source": "native",
        "scope": "both",
        "acceptsArgs": True,
    }


COMMANDS: Final = [
    _command("status", "Shows the release and the session.", "status"),
    _command("queue", "Sets what becomes of a message that meets a running run.", "options"),
]
"""Those that the embedded gateway answers itself."""


class EmptyAnswers:
    """The methods whose answers say that there is nothing."""

    def __init__(self, history: History) -> None:
        self._history = history

    def methods(self) -> Family:
        plain: dict[str, Callable[[Params], Any]] = {
            "chat.metadata": lambda _params: _metadata(),
            "commands.list": lambda _params: {"commands": COMMANDS},
            "tools.catalog": lambda _params: {"agentId": "main", "profiles": [], "groups": []},
            "config.get": lambda _params: _config(),
            "cron.list": _jobs,
            "cron.status": lambda _params: _cron(),
            "channels.status": lambda _params: _channels(),
            "skills.status": lambda _params: {**_SKILLS, "agentId": "main", "skills": []},
            "logs.tail": lambda _params: _log(),
        }
        family = {name: Method(_handler(answer), READ) for name, answer in plain.items()}
        family["chat.startup"] = Method(self._startup, READ)
        family["exec.approvals.get"] = Method(lambda _caller, _params: _approvals(), ADMIN)
        return family

    def _startup(self, caller: Caller, params: Params) -> Params:
        page = self._history.page(caller, params)
        return {**page, "defaults": DEFAULTS, "thinkingLevel": "off", "metadata": _metadata(locked=True)}


def _handler(answer: Callable[[Params], Any]) -> Callable[[Caller, Params], Any]:
    return lambda _caller, params: answer(params)


def _metadata(*, locked: bool = False) -> Params:
    account = {"kind": "automatic", "label": "Automatic account selection"}
    metadata: Params = {"models": [MODEL], "commands": COMMANDS, "swarmEnabled": False, "accountSelection": account}
    return metadata | ({"runtimeSelectionLocked": False} if locked else {})


def _config() -> Params:
    raw = json.dumps(CONFIG, indent=2)
    digest = f"hmac-sha256:v1:{hashlib.sha256(raw.encode()).hexdigest()}"
    views = ("parsed", "sourceConfig", "resolved", "runtimeConfig", "config")
    return {
        "path": PLACE,
        "includedPaths": [],
        "includeProvenance": [],
        "agentRosterIncludeOwned": False,
        "bindingsIncludeOwned": False,
        "exists": True,
        "raw": raw,
        **dict.fromkeys(views, CONFIG),
        "valid": True,
        "hash": digest,
        "issues": [],
        "warnings": [],
        "legacyIssues": [],
        "configRevisionHash": digest,
        "appliedConfigHash": digest,
    }


def _jobs(params: Params) -> Params:
    page = {"total": 0, "offset": 0, "limit": params.get("limit", 1), "hasMore": False, "nextOffset": None}
    revision = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    return {"jobs": [], "snapshotRevision": revision, **page, "deliveryPreviews": {}}


def _cron() -> Params:
    store = {"storePath": PLACE, "storage": "sqlite", "sqlitePath": PLACE}
    return {"enabled": False, "triggersEnabled": True, **store, "jobs": 0, "nextWakeAtMs": None}


def _channels() -> Params:
    lists: Params = {"channelOrder": [], "channelMeta": [], "statusIssues": []}
    names = ("channelLabels", "channelDetailLabels", "channelSystemImages", "channels", "channelAccounts")
    tables: Params = {name: {} for name in (*names, "channelDefaultAccountId")}
    return {"ts": now_ms(), **lists, **tables, "eventLoop": LOOP}


_SKILLS: Final = {"workspaceDir": PLACE, "managedSkillsDir": PLACE}


def _log() -> Params:
    return {"file": PLACE, "cursor": 0, "size": 0, "lines": [], "truncated": False, "reset": False}


def _approvals() -> Params:
    file = {"version": 1, "socket": {"path": PLACE}, "defaults": {}, "agents": {}}
    resolved = {"security": "full", "ask": "off", "askFallback": "deny", "autoAllowSkills": False}
    digest = hashlib.sha256(json.dumps(file).encode()).hexdigest()
    return {"path": PLACE, "exists": True, "file": file, "hash": digest, "resolvedDefaults": resolved}
