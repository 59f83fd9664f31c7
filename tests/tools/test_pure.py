"""What a tool is, apart from its host, needs no clock, no thread and no loop."""

from __future__ import annotations

import pytest

from tests.test_layers import CHANCE, CLOCK, IO, PACKAGE, ROOT, imported

PURE = {"call", "docstring", "names", "results", "schema", "signature", "tool"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_imports_pure_ones(name: str) -> None:
    allowed = {f"{PACKAGE}.tools.{other}" for other in PURE} | {f"{PACKAGE}.errors"}
    for line, target in imported(ROOT / "tools" / f"{name}.py", ROOT):
        if target.startswith(PACKAGE):
            assert any(target.startswith(f"{one}.") for one in allowed), f"line {line}: {target}"
        else:
            assert target.partition(".")[0] not in CLOCK | CHANCE | IO, f"line {line}: {target}"
