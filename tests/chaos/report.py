"""The closing table of a chaos run, and the same as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_rows: list[dict[str, Any]] = []


def rows() -> list[dict[str, Any]]:
    """What was noted, as plain values."""
    return list(_rows)


def take(of_another: list[dict[str, Any]]) -> None:
    """Note what another process of the same tests noted."""
    _rows.extend(of_another)


def add(what: str, figures: dict[str, Any]) -> None:
    """Note the figures of one test."""
    _rows.append({"what": what, **figures})


def lines() -> list[str]:
    """The table, one line per test, columns for what any of them counted."""
    if not _rows:
        return []
    columns = list(dict.fromkeys(name for row in _rows for name in row))
    cells = [columns, *([_cell(row.get(name)) for name in columns] for row in _rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def write(path: Path) -> None:
    path.write_text(json.dumps(_rows, indent=2) + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
