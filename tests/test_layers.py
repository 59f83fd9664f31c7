"""Who may import whom, held against every import of every module, those in functions and under TYPE_CHECKING included.

docs/architecture.md says why. A layer always may import itself and the version. Within a layer no modules import each
other, neither directly nor by way of others.
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
    "forks": set(),
    "logs": set(),
    # What a new version of a package may change, for whoever leans on it.
    "private_parts": set(),
    # What is counted must not drag in what it counts.
    "telemetry": {"logs"},
    # Threads that gevent has not patched are needed at the bottom (name lookups) and at the top (blocking clients).
    "os_threads": set(),
    "wire": {"errors"},
    "protocol": {"wire", "errors"},
    # Decisions are taken on the wire's codes and errors; a copy of them here would drift.
    "policy": {"wire", "errors"},
    "runs": {"wire", "errors"},
    "journal": {"forks", "logs", "os_threads", "runs", "errors"},
    "identity": {"forks", "logs", "wire", "errors"},
    "transport": {"private_parts", "os_threads", "errors"},
    "connection": {
        "logs",
        "private_parts",
        "telemetry",
        "os_threads",
        "transport",
        "identity",
        "policy",
        "protocol",
        "wire",
        "errors",
    },
    "sessions": {"logs", "connection", "policy", "wire", "errors"},
    "requests": {"logs", "sessions", "connection", "policy", "wire", "errors"},
    "chat": {"logs", "journal", "requests", "sessions", "runs", "telemetry", "connection", "policy", "wire", "errors"},
    "interactions": {
        "logs",
        "chat",
        "requests",
        "sessions",
        "connection",
        "runs",
        "policy",
        "wire",
        "errors",
    },
    "watching": {"logs", "chat", "requests", "sessions", "connection", "wire", "errors"},
    # How private files are written stands with the device keys.
    "files": {"logs", "requests", "sessions", "connection", "identity", "policy", "wire", "errors"},
    "client": {
        "logs",
        "os_threads",
        "journal",
        "files",
        "interactions",
        "watching",
        "chat",
        "requests",
        "sessions",
        "telemetry",
        "connection",
        "runs",
        "identity",
        "policy",
        "wire",
        "errors",
    },
    "sync": {
        "forks",
        "logs",
        "os_threads",
        "journal",
        "files",
        "interactions",
        "watching",
        "client",
        "chat",
        "sessions",
        "runs",
        "wire",
        "errors",
    },
    "manager": {
        "logs",
        "journal",
        "sync",
        "client",
        "interactions",
        "sessions",
        "runs",
        "identity",
        "policy",
        "wire",
        "errors",
    },
    "tools": {"logs", "os_threads", "sync", "client", "connection", "identity", "policy", "wire", "errors"},
    "testing": {"logs", "transport", "protocol", "wire", "errors"},
    "pytest_plugin": {"testing", "client", "sync"},
    "cli": {"tools", "manager", "sync", "client", "files", "identity", "journal", "runs", "wire", "testing", "errors"},
    "__main__": {"cli"},
}

CIRCLES: set[str] = set()
"""Layers that still have modules which import each other. No layer is added; a layer without any is taken out."""

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


def module_name(path: Path, root: Path) -> str:
    parts = (PACKAGE, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(root: Path) -> dict[str, set[str]]:
    """The modules of the package that each module imports."""
    paths = {module_name(path, root): path for path in modules(root)}
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        graph[module] = set()
        for _, name in imported(path, root):
            # `from package import name` means a module of that name, or else something within the package's own.
            target = name if name in paths else name.rpartition(".")[0]
            if target in paths and target != module:
                graph[module].add(target)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected parts of more than one module, each sorted."""
    reached: dict[str, set[str]] = {}
    for module in graph:
        reached[module] = set()
        ahead = [module]
        while ahead:
            new = graph[ahead.pop()] - reached[module]
            reached[module] |= new
            ahead += new
    parts = {frozenset(other for other in reached[module] if module in reached[other]) for module in graph}
    return sorted(sorted(part) for part in parts if len(part) > 1)


def circle_layers(root: Path) -> dict[str, list[list[str]]]:
    """The circles by the layer of their first module; the layers' own table lets none go through several."""
    found: dict[str, list[list[str]]] = {}
    for part in circles(import_graph(root)):
        found.setdefault(part[0].split(".")[1] if "." in part[0] else "", []).append(part)
    return found


def test_no_modules_of_a_layer_import_each_other() -> None:
    found = circle_layers(ROOT)
    assert {layer: parts for layer, parts in found.items() if layer not in CIRCLES} == {}
    assert found.keys() >= CIRCLES, "take the layers without circles out of CIRCLES"


TYPE_ONLY = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from openclaw_client.runs.{} import X\n"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ({"a": TYPE_ONLY.format("b"), "b": TYPE_ONLY.format("a")}, ["a", "b"]),
        ({"a": "from .b import X", "b": "def f():\n    import openclaw_client.runs.a"}, ["a", "b"]),
        ({"a": "from . import b", "b": "from .c import X", "c": "from . import a"}, ["a", "b", "c"]),
        ({"a": "from . import b, c", "b": "from . import c", "c": "import msgspec"}, []),
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, codes: dict[str, str], expected: list[str]) -> None:
    (tmp_path / "runs").mkdir()
    for name, code in codes.items():
        (tmp_path / "runs" / f"{name}.py").write_text(code)
    wanted = {"runs": [[f"{PACKAGE}.runs.{name}" for name in expected]]} if expected else {}
    assert circle_layers(tmp_path) == wanted


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
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from openclaw_client.client.engine import Engine",
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
