"""Bar charts as SVG: a few lines of text, readable without a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, LABELS, BAR, GAP = 760, 250, 18, 6
COLOURS = ("#2a6f97", "#61a5c2", "#a9d6e5", "#bc6c25", "#dda15e", "#adb5bd", "#6c757d", "#495057")
STYLE = "font-family:system-ui,sans-serif;font-size:13px"


def bars(path: Path, title: str, unit: str, groups: Mapping[str, Sequence[tuple[str, float]]]) -> None:
    """Horizontal bars; each group has a scale of its own, because 300 bytes and 32 KB do not fit on one."""
    colours = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(_labels(groups))}
    lines, y = [_text(0, 16, title, "font-weight:600")], 30
    for group, values in groups.items():
        y += 12
        lines.append(_text(0, y + 12, group, "font-weight:600"))
        y += 20
        longest = max(value for _, value in values)
        for label, value in values:
            length = max(1, round((WIDTH - LABELS - 90) * value / longest))
            lines.append(_text(8, y + 13, label))
            lines.append(f'<rect x="{LABELS}" y="{y}" width="{length}" height="{BAR}" fill="{colours[label]}"/>')
            lines.append(_text(LABELS + length + 6, y + 13, f"{value:.3g} {unit}"))
            y += BAR + GAP
    size = f'width="{WIDTH}" height="{y + 8}" viewBox="0 0 {WIDTH} {y + 8}"'
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}">\n{back}\n')
    with path.open("a") as file:
        file.write("\n".join(lines) + "\n</svg>\n")


def _labels(groups: Mapping[str, Sequence[tuple[str, float]]]) -> list[str]:
    return list(dict.fromkeys(label for values in groups.values() for label, _ in values))


def _text(x: int, y: int, text: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="#222" style="{style}">{escape(text)}</text>'
