"""The tables that remember, made so small that minutes fill them: what still grows then is a leak.

Knows the names of the bounds in docs/limits.md. The bounds of time, of handshakes and of threads stay as they are.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType

import openclaw_client

SMALL: dict[str, int] = {
    "client.events.MAX_WAITING": 200,
    "client.events.MAX_BURST": 400,
    "client.events.MAX_WAITING_BYTES": 1 << 18,
    "client.callbacks.MAX_CALLS": 200,
    "client.callbacks.MAX_CALL_BYTES": 1 << 18,
    "runs.stream.BUFFER_EVENTS": 16,
    "runs.stream.MAX_PIECES": 8,
    "connection.fast_path.MAX_RUNS": 2,
    "runs.proactive.MAX_FINISHED": 64,
    "runs.proactive.MAX_OPEN": 16,
    "runs.proactive.MAX_OPEN_TEXT": 1 << 16,
    "chat.held.MAX_HELD": 8,
    "chat.held.MAX_EXPECTED": 4,
    "chat.missed_messages.MAX_HELD": 20,
    "chat.missed_messages.MAX_HELD_BYTES": 1 << 17,
    "chat.places.MAX_PLACES": 8,
    "runs.place.MAX_FRESH": 50,
    "runs.place.MAX_WORDS": 16,
    "runs.place.MAX_IDS": 32,
    "sessions.filter.MAX_USED": 8,
    "sessions.gates.MAX_GATES": 8,
    "sessions.gate.MAX_OTHERS": 4,
    "requests.gateway_facts.MAX_UNKNOWN": 8,
    "policy.scopes.MAX_NEEDS": 8,
    "connection.breakers.REMEMBERED": 16,
    "wire.handshake.MAX_COMMON": 4,
}
"""Bound and number, by `folder.module.NAME`."""


def make_small() -> None:
    """Make the tables small for the rest of this process, in every module that has taken the number of one."""
    for bound, number in SMALL.items():
        path, _, name = bound.rpartition(".")
        known = getattr(importlib.import_module(f"openclaw_client.{path}"), name)
        for module in _modules():
            if vars(module).get(name) == known and name in vars(module):
                setattr(module, name, number)


def _modules() -> list[ModuleType]:
    """All modules of the package, loaded: one that came later would take the number that stands in the code."""
    for found in pkgutil.walk_packages(openclaw_client.__path__, "openclaw_client."):
        if not found.name.endswith(("__main__", "pytest_plugin")):
            importlib.import_module(found.name)
    return [module for name, module in tuple(sys.modules.items()) if name.startswith("openclaw_client.")]
