"""docs/limits.md names every bound of the package, with the number that the code has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "openclaw_client"
PAGE = ROOT / "docs" / "limits.md"
BOUND = re.compile(r"(MAX|MOST|KEPT|REMEMBERED|BUFFER|HANDSHAKES|SPARE|ASIDE|PER_NAME|AT_ONCE|BLOCKING_CALLS)(_\w+)?")
"""Names of bounds in number or bytes. How long things take has names of its own, and stands there by hand."""
UNITS = {"": 1, " s": 1, " KiB": 1 << 10, " MiB": 1 << 20}
CELL = re.compile(r"`(?P<module>[\w/]+)\.(?P<name>[A-Z_]+)`")


def bounds() -> Iterator[tuple[str, float]]:
    """Each constant that is a bound: `folder/module.NAME` and its number. The double and the command line have users of
    their own to bound."""
    for path in sorted(SOURCE.rglob("*.py")):
        if path.relative_to(SOURCE).parts[0] in ("testing", "cli") or path.name == "server.py":
            continue
        for name, number in constants(path):
            if BOUND.fullmatch(name):
                yield f"{path.relative_to(SOURCE).with_suffix('')}.{name}", number


def constants(path: Path) -> Iterator[tuple[str, float]]:
    known: dict[str, float] = {}
    for node in ast.parse(path.read_text()).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and isinstance(target, ast.Name):
            try:
                number = eval(compile(ast.Expression(node.value), str(path), "eval"), {"__builtins__": {}}, known)
            except (NameError, TypeError, AttributeError):
                continue
            if isinstance(number, int | float):
                known[target.id] = number
                yield target.id, number


def told() -> dict[str, float]:
    """What the page says of each constant that it names."""
    found = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        constant = CELL.search(cells[-1])
        if line.startswith("|") and constant:
            found[f"{constant['module']}.{constant['name']}"] = number_of(cells[1])
    return found


def number_of(text: str) -> float:
    """What `10,000`, `1 MiB` or `0.5 s` stands for."""
    match = re.fullmatch(r"([\d,.]+)(| s| KiB| MiB)", text)
    assert match, text
    return float(match[1].replace(",", "")) * UNITS[match[2]]


def test_every_bound_is_told() -> None:
    assert sorted({name for name, _ in bounds()} - told().keys()) == []


@pytest.mark.parametrize(("name", "number"), told().items())
def test_what_is_told_is_what_the_code_has(name: str, number: float) -> None:
    module, _, constant = name.rpartition(".")
    assert dict(constants(SOURCE / f"{module}.py"))[constant] == number
