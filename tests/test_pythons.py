"""Which Pythons the make targets find."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.pythons import lowest, pythons


def test_the_running_python_is_found_and_the_newest_is_last() -> None:
    names = [path.resolve() for path in pythons()]
    assert Path(sys.executable).resolve() in names or len(names) > 1
    assert len(set(names)) == len(names)


def test_what_does_not_run_is_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyenv leaves names of versions that nobody chose; a preview is no version that users have."""
    for name, script in {
        "python3.18": "exit 127",
        "python3.19": "echo 3 19 beta cpython",
        "python3.20": "echo 3 20 final cpython",
    }.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    found = pythons()
    assert found[-1] == tmp_path / "python3.20"
    assert {tmp_path / "python3.18", tmp_path / "python3.19"}.isdisjoint(found)


def test_the_lowest_dependencies_are_exact() -> None:
    wanted = lowest()
    assert {one.partition("==")[0] for one in wanted} >= {"picows", "msgspec", "cryptography", "uvloop"}
    assert not [one for one in wanted if ">" in one]
