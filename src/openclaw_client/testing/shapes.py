"""What 2026.9.6 says of a gateway that is idle and has nothing configured: the parts of answers that never change."""

from __future__ import annotations

from typing import Any, Final

PLACE: Final = "(memory)"
"""Stands for every path: nothing is on a disk."""

LOOP: Final[dict[str, Any]] = {
    "degraded": False,
    "degradedSinceMs": None,
    "reasons": [],
    "intervalMs": 1000,
    "delayP99Ms": 1,
    "delayMaxMs": 1,
    "utilization": 0,
    "cpuCoreRatio": 0,
}
"""How busy the process is."""

MODELS_READY: Final = {"degraded": False, "pendingAgents": []}

HEALTH: Final[dict[str, Any]] = {
    "plugins": {"loaded": [], "errors": [], "unavailable": []},
    "configReload": {"hotReloadStatus": "active"},
    "modelRuntime": MODELS_READY,
    "eventLoop": LOOP,
}
"""Of health, beside what every release has."""

HEARTBEAT: Final[dict[str, Any]] = {"enabled": False, "every": "disabled", "everyMs": None}

_STATES: Final = ("queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost")
_RUNTIMES: Final = ("subagent", "acp", "cli", "cron")
_FINDINGS: Final = (
    "stale_queued",
    "stale_running",
    "lost",
    "delivery_failed",
    "missing_cleanup",
    "inconsistent_timestamps",
)

STATUS: Final[dict[str, Any]] = {
    "hostDesktop": {"enabled": False, "state": "disabled", "port": 5900},
    "degradedSecretOwners": [],
    "degradedPlugins": [],
    "tasks": {
        "total": 0,
        "active": 0,
        "terminal": 0,
        "failures": 0,
        "byStatus": dict.fromkeys(_STATES, 0),
        "byRuntime": dict.fromkeys(_RUNTIMES, 0),
    },
    "taskAudit": {"total": 0, "warnings": 0, "errors": 0, "byCode": dict.fromkeys(_FINDINGS, 0)},
    "modelRuntime": MODELS_READY,
    "eventLoop": LOOP,
}
"""Of status, beside what every release has."""
