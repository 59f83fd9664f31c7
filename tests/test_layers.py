"""Who may import whom, held against every import of every module, those in functions and under TYPE_CHECKING included.

docs/architecture.md says why. A layer always may import itself and the version.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import openclaw_client

PACKAGE = "openclaw_client"
ROOT = Path(openclaw_client.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    # What is counted must not drag in what it counts.
    "telemetry": set(),
    "wire": {"errors"},
    "protocol": {"wire", "errors"},
    # Decisions are taken on the wire's codes and errors; a copy of them here would drift.
    "policy": {"wire", "errors"},
    "runs": {"wire", "errors"},
    "identity": {"wire", "errors"},
    "transport": {"errors"},
    "connection": {"telemetry", "transport", "identity", "policy", "protocol", "wire", "errors"},
    "client": {"telemetry", "connection", "runs", "identity", "policy", "wire", "errors"},
    "sync": {"client", "runs", "wire", "errors"},
    "manager": {"sync", "client", "identity", "policy", "errors"},
    "testing": {"transport", "protocol", "wire", "errors"},
    "pytest_plugin": {"testing", "client", "sync"},
    "cli": {"manager", "sync", "client", "identity", "runs", "testing", "errors"},
    "__main__": {"cli"},
}

CLOCK = {"time", "datetime"}
CHANCE = {"random", "secrets", "uuid"}
IO = {"asyncio", "socket", "ssl", "select", "selectors", "threading", "subprocess", "http", "urllib.request"}
COMPUTED = "(a computed name)"
NEVER: dict[str, set[str]] = {
    "wire": CLOCK | CHANCE | IO,
    "protocol": CLOCK | CHANCE | IO,
    "policy": CLOCK | CHANCE | IO,
    "runs": CLOCK | CHANCE | IO,
}


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def layer_of(path: Path, root: Path) -> str:
    """The first part of a module's name within the package; "" for the package itself."""
    first = path.relative_to(root).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that a module imports, however it does."""
    here = [PACKAGE, *path.relative_to(root).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from . import x` in a package's __init__ means the package, and the file's name is one part more.
            base = ".".join(here[: -node.level]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            for argument in node.args[:1]:
                yield node.lineno, argument.value if isinstance(argument, ast.Constant) else COMPUTED


def violations(path: Path, root: Path = ROOT) -> list[str]:
    """What a module imports and may not, with the line."""
    layer = layer_of(path, root)
    if not layer:
        return []
    allowed = MAY_IMPORT.get(layer, set()) | {layer, "version"}
    never = NEVER.get(layer, set()) | {COMPUTED}
    found: list[str] = []
    for line, name in imported(path, root):
        parts = name.split(".")
        if parts[0] == PACKAGE:
            # Names that are no layer are taken from the package itself, which imports everything.
            target = parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "the package itself"
            if target not in allowed:
                found.append(f"line {line}: {layer} imports {target} ({name})")
        elif any(name == banned or name.startswith(f"{banned}.") for banned in never):
            found.append(f"line {line}: {layer} imports {name}")
    return found


@pytest.mark.parametrize("path", modules(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_what_its_layer_may(path: Path) -> None:
    assert violations(path) == []


def test_every_layer_is_in_the_table() -> None:
    layers = {layer_of(path, ROOT) for path in modules(ROOT)} - {""}
    assert layers <= MAY_IMPORT.keys()
    assert {"errors", "wire", "protocol", "policy", "runs", "connection", "client", "sync"} <= layers


def test_data_flows_one_way() -> None:
    done: set[str] = set()
    while rest := {layer: targets - done for layer, targets in MAY_IMPORT.items() if layer not in done}:
        free = {layer for layer, targets in rest.items() if not targets}
        assert free, f"a circle among {sorted(rest)}"
        done |= free


FAULTS: list[tuple[str, str, str]] = [
    ("errors.py", "import openclaw_client.wire.frames", "errors imports wire"),
    ("wire/bad.py", "from openclaw_client.protocol.client import ClientProtocol", "wire imports protocol"),
    ("wire/bad.py", "import time", "wire imports time"),
    ("wire/bad.py", "from time import monotonic as now", "wire imports time.monotonic"),
    ("wire/bad.py", "from asyncio.events import get_running_loop", "wire imports asyncio"),
    ("wire/bad.py", "import urllib.request", "wire imports urllib.request"),
    ("protocol/bad.py", "def f():\n    import random", "protocol imports random"),
    ("protocol/bad.py", "from openclaw_client import identity", "protocol imports identity"),
    ("policy/bad.py", "async def f():\n    if x:\n        from random import random", "policy imports random"),
    ("runs/bad.py", "try:\n    import asyncio\nexcept ImportError:\n    pass", "runs imports asyncio"),
    (
        "runs/bad.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from openclaw_client.client.run import AsyncChatRun",
        "runs imports client",
    ),
    ("runs/bad.py", "from openclaw_client import GatewayClient", "runs imports the package itself"),
    ("runs/bad.py", "import openclaw_client", "runs imports the package itself"),
    ("client/bad.py", "from ..sync.client import GatewayClient", "client imports sync"),
    ("client/__init__.py", "from ..sync import client", "client imports sync"),
    ("client/bad.py", "from .. import sync", "client imports sync"),
    (
        "sync/bad.py",
        "import importlib\nimportlib.import_module('openclaw_client.connection')",
        "sync imports connection",
    ),
    ("sync/bad.py", "__import__('openclaw_client.policy')", "sync imports policy"),
    ("sync/bad.py", "from importlib import import_module\nimport_module(name)", "sync imports (a computed name)"),
    ("testing/bad.py", "from openclaw_client.client.engine import Engine", "testing imports client"),
    ("brand_new/bad.py", "from openclaw_client import errors", "brand_new imports errors"),
]


@pytest.mark.parametrize(("place", "code", "said"), FAULTS)
def test_a_planted_fault_is_found(tmp_path: Path, place: str, code: str, said: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{code}\n")
    (found,) = violations(path, tmp_path)
    assert said in found


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("wire/good.py", "from openclaw_client import errors\nfrom openclaw_client.version import __version__"),
        ("wire/good.py", "from . import frames\nfrom .codes import x\nimport msgspec, timeit"),
        ("wire/__init__.py", "from .codes import x\nfrom urllib.parse import quote"),
        ("connection/good.py", "import asyncio, time, random\nfrom ..policy import backoff"),
        ("__init__.py", "from openclaw_client.cli import main"),
    ],
)
def test_what_is_allowed_is_not_a_fault(tmp_path: Path, place: str, code: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{code}\n")
    assert violations(path, tmp_path) == []
