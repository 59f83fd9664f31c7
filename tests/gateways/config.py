"""What a gateway under test is started with: its configuration file and its environment.

Knows the settings of OpenClaw and which release wants which. Does not know processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .completions import MODEL_ID
from .install import cache_folder, node_binary, release_key

Auth = Literal["token", "password", "none"]

PROVIDER = "stub"

_SWITCHES = {
    "OPENCLAW_SKIP_CHANNELS": "1",
    "OPENCLAW_SKIP_CRON": "1",
    "OPENCLAW_SKIP_GMAIL_WATCHER": "1",
    "OPENCLAW_SKIP_BROWSER_CONTROL_SERVER": "1",
    "OPENCLAW_SKIP_CANVAS_HOST": "1",
    "OPENCLAW_DISABLE_BONJOUR": "1",
    "OPENCLAW_NO_RESPAWN": "1",  # the process that we started is the gateway itself
    "OPENCLAW_NO_AUTO_UPDATE": "1",
    "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
    "NO_COLOR": "1",
    "CI": "1",
}


def environment(version: str, home: Path) -> dict[str, str]:
    """The whole environment of the process. Nothing is inherited: no key, token or setting of the user leaks in."""
    folders = {
        "HOME": home,
        "OPENCLAW_HOME": home,
        "OPENCLAW_STATE_DIR": home / "state",
        "OPENCLAW_CONFIG_PATH": config_path(home),
        "XDG_CONFIG_HOME": home / "xdg" / "config",
        "XDG_DATA_HOME": home / "xdg" / "data",
        "XDG_CACHE_HOME": home / "xdg" / "cache",
        "XDG_STATE_HOME": home / "xdg" / "state",
        "XDG_RUNTIME_DIR": home / "xdg" / "runtime",
        "TMPDIR": home / "tmp",
    }
    path = f"{node_binary().parent}:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, "LANG": "C.UTF-8", **_SWITCHES, **{name: str(folder) for name, folder in folders.items()}}


def link_compile_cache(version: str, home: Path) -> None:
    """Let this gateway find what earlier ones compiled: a third of the time to ready, and of an old
    one's first turn.

    Node and jiti keep compiled code in these folders of TMPDIR and check each file against its source, so any number
    of gateways may share them. Node's own variable for it would make new releases start themselves a second time.
    """
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    for name in ("node-compile-cache", "jiti"):
        shared = cache_folder() / "compiled" / version / name
        shared.mkdir(parents=True, exist_ok=True)
        link = temporary / name
        if not link.is_symlink():
            link.symlink_to(shared)


def config_path(home: Path) -> Path:
    """Where the configuration of a gateway with this home folder is."""
    return home / "openclaw.json"


def configuration(
    version: str, *, home: Path, port: int, auth: Auth, secret: str, model_url: str, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of the configuration file; `overrides` are merged into it, mapping by mapping."""
    credentials: dict[str, Any] = {"mode": auth} if auth == "none" else {"mode": auth, auth: secret}
    model = {
        "id": MODEL_ID,
        "name": "Stub",
        "reasoning": False,
        "input": ["text", "image"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 200_000,
        "maxTokens": 8_192,
    }
    provider = {"baseUrl": model_url, "apiKey": "stub-key", "api": "openai-completions", "models": [model]}
    models: dict[str, Any] = {"mode": "merge", "providers": {PROVIDER: provider}}
    if release_key(version) >= (2026, 8):
        models["catalogRefresh"] = {"enabled": False}
    config: dict[str, Any] = {
        "gateway": {"mode": "local", "bind": "loopback", "port": port, "auth": credentials},
        "agents": {
            "defaults": {
                "workspace": str(home / "workspace"),
                "skipBootstrap": True,
                "model": {"primary": f"{PROVIDER}/{MODEL_ID}"},
                "heartbeat": {"every": "0m"},
            }
        },
        "models": models,
        "discovery": {"mdns": {"mode": "off"}},
        "update": {"checkOnStart": False},
        "logging": {"file": str(home / "gateway.log.jsonl")},
    }
    if release_key(version) < (2026, 5):
        # Those releases compile every plugin when they start, which takes minutes.
        config["plugins"] = {"enabled": False}
    return merged(config, overrides)


def asks_approval(version: str) -> dict[str, Any]:
    """Settings under which every command of the agent waits for somebody's approval, for `overrides`."""
    tools: dict[str, Any] = {"exec": {"host": "gateway", "security": "allowlist", "ask": "always"}}
    if release_key(version) >= (2026, 9):
        # These hand the model a search instead of their tools, and the stub model searches for nothing.
        tools["toolSearch"] = False
    return {"tools": tools}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it; mappings are merged, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
