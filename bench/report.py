"""Figures into a table for the terminal, and into docs/performance.md with its plots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import plot
from bench.plan import ASYNC, DECODE, NODE, SYNC, UVLOOP, Measurement
from bench.run import Results

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTES = Path(__file__).parent / "notes.md"
TITLES = {
    "stream": "A chat stream, flat out (CPU per frame)",
    "events": "Runs that the client did not begin (CPU per frame)",
    "paced": "A chat stream, one frame per 500 µs",
    "reply": "One long reply, sent as cumulative snapshots",
    "runs": "Runs at the same time on one connection",
    "connections": "Connections with one run each",
    "rpc": "Requests, by how many are in flight",
    "tools": "Calls of a tool, by how many are open at once (CPU per call)",
    "idle": "Idle connections",
    "hand-over": "From the loop's thread to a blocking iterator",
}


@dataclass(frozen=True)
class Line:
    """The rounds of one driver, in microseconds of CPU for each unit (frame, request, connection)."""

    measurement: Measurement
    rounds: list[dict[str, float]]

    @property
    def costs(self) -> list[float]:
        return [one["cpu"] / one["units"] * 1e6 for one in self.rounds]

    @property
    def cpu(self) -> float:
        return median(self.costs)

    def of(self, name: str) -> float | None:
        values = [one[name] for one in self.rounds if name in one]
        return median(values) if values else None

    @property
    def wall(self) -> float:
        return median(one["wall"] / one["units"] * 1e6 for one in self.rounds)

    @property
    def unsteady(self) -> int:
        """Rounds in which the driver did not come to rest before it was measured."""
        return sum(bool(one.get("unsteady")) for one in self.rounds)

    @property
    def events(self) -> float | None:
        events = self.of("events")
        return None if events is None or events <= 1 else events / self.rounds[0]["units"]


class Report:
    """All lines, to be asked for by group, row and client."""

    def __init__(self, plan: list[Measurement], results: Results) -> None:
        self.lines = [Line(one, results[one.key]) for one in plan]

    def groups(self) -> dict[str, dict[str, list[Line]]]:
        found: dict[str, dict[str, list[Line]]] = {}
        for line in self.lines:
            rows = found.setdefault(line.measurement.group, {})
            rows.setdefault(line.measurement.row, []).append(line)
        return found

    def line(self, group: str, row: str, client: str) -> Line | None:
        key = (group, row, client)
        return next((line for line in self.lines if line.measurement.key == key), None)


def table(report: Report) -> str:
    """Markdown, which reads in a terminal as well."""
    parts: list[str] = []
    for group, rows in report.groups().items():
        parts.append(f"### {TITLES[group]}\n")
        parts.append(_idle_table(rows) if group == "idle" else _cost_table(rows))
    return "\n".join(parts)


COLUMNS: dict[str, Callable[[Line, dict[str, float]], str]] = {
    "µs CPU, median": lambda line, _: f"{line.cpu:.2f}",
    "min to max": lambda line, _: f"{min(line.costs):.2f} to {max(line.costs):.2f}",
    "of the reference": lambda line, costs: _ratio(line.cpu, costs.get(NODE[0])),
    "of recv + decode": lambda line, costs: _ratio(line.cpu, costs.get(DECODE[0])),
    "cold, µs": lambda line, _: _number(line.of("cold"), 2, 1e6),
    "warmed up, thousands": lambda line, _: _number(line.of("warmed"), 0, 1e-3),
    "not steady": lambda line, _: f"{line.unsteady} of {len(line.rounds)}" if line.unsteady else "",
    "µs wall": lambda line, _: f"{line.wall:.1f}",
    "p50 µs": lambda line, _: _number(line.of("p50"), 0),
    "p99 µs": lambda line, _: _number(line.of("p99"), 0),
    "longest turn, ms": lambda line, _: _number(line.of("turn"), 1, 1e3),
    "events per frame": lambda line, _: _number(line.events, 2),
    "peak MiB": lambda line, _: _number(line.of("peak_kib"), 0, 1 / 1024),
}
"""What a column shows of a line; the costs are those of the lines beside it. A column without any value is left out."""


def _cost_table(rows: dict[str, list[Line]]) -> str:
    table: list[list[str]] = []
    for row, lines in rows.items():
        costs = {line.measurement.client: line.cpu for line in lines}
        for line in lines:
            cells = [show(line, costs) for show in COLUMNS.values()]
            table.append([row, line.measurement.client, *cells])
    head = ["", "client", *COLUMNS]
    shown = [number for number in range(len(head)) if number < 2 or any(cells[number] for cells in table)]
    out = [head, ["---"] * 2 + ["--:"] * len(COLUMNS), *table]
    return "\n".join(f"| {' | '.join(cells[number] for number in shown)} |" for cells in out) + "\n"


def _idle_table(rows: dict[str, list[Line]]) -> str:
    out = [
        "| | client | KiB each | CPU ms per connect | connects per s | RSS with one, MiB |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row, lines in rows.items():
        for line in lines:
            alone = (line.of("alone_kib") or 0) / 1024
            cells = [
                row,
                line.measurement.client,
                _number(line.of("each_kib"), 1),
                f"{line.cpu / 1000:.2f}",
                f"{1e6 / line.wall:.0f}",
                f"{alone:.0f}",
            ]
            out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def targets(report: Report) -> str:
    """What was aimed at, and what came out."""
    out = ["| aim | at most | measured | |", "|---|--:|--:|---|"]
    for name, limit, found in _targets(report):
        if found is not None:
            verdict = "met" if found <= limit else f"missed by {100 * (found / limit - 1):.0f} %"
            out.append(f"| {name} | {limit:g} | {found:.2f} | {verdict} |")
    return "\n".join(out) + "\n"


def _targets(report: Report) -> list[tuple[str, float, float | None]]:
    def cost(group: str, row: str, client: tuple[str, str, str]) -> float | None:
        line = report.line(group, row, client[0])
        return None if line is None else line.cpu

    def fact(group: str, row: str, client: tuple[str, str, str], name: str) -> float | None:
        line = report.line(group, row, client[0])
        return None if line is None else line.of(name)

    found: list[tuple[str, float, float | None]] = []
    for row, limit in (("300 B", 0.65), ("2 KB", 0.5), ("32 KB", 0.55)):
        ours, theirs = cost("stream", row, UVLOOP), cost("stream", row, NODE)
        found.append((f"stream, {row}: CPU against the reference client", limit, _quotient(ours, theirs)))
    for row, limit in (("300 B", 2.0), ("2 KB", 1.8), ("32 KB", 1.5)):
        ours, theirs = cost("stream", row, UVLOOP), cost("stream", row, DECODE)
        found.append((f"stream, {row}: CPU against recv + decode", limit, _quotient(ours, theirs)))
    for row in ("300 B", "2 KB", "32 KB"):
        sync, ours = cost("stream", row, SYNC), cost("stream", row, UVLOOP)
        more = None if sync is None or ours is None else sync - ours
        found.append((f"blocking iterator, {row}: µs of CPU above the async one", 1.0, more))
    for row in ("1", "16", "256"):
        ours, theirs = cost("rpc", row, UVLOOP), cost("rpc", row, NODE)
        found.append((f"requests, {row} in flight, uvloop: CPU against the reference", 0.6, _quotient(ours, theirs)))
    p50 = _quotient(fact("rpc", "1", UVLOOP, "p50"), fact("rpc", "1", NODE, "p50"))
    found.append(("requests, 1 in flight, uvloop: p50 against the reference", 1.0, p50))
    for row, limit in (("1,000 connections, plain", 24.0), ("1,000 connections, TLS", 90.0)):
        found.append((f"KiB for each of {row}", limit, fact("idle", row, UVLOOP, "each_kib")))
    row = "1,000 connections, plain"
    alone = _quotient(fact("idle", row, ASYNC, "alone_kib"), fact("idle", row, NODE, "alone_kib"))
    found.append(("RSS with one connection, against the reference", 0.5, alone))
    return found


def write(report: Report, facts: dict[str, Any], took: float) -> None:
    """docs/performance.md and the plots beside it."""
    lines = [f"| {name} | {value} |" for name, value in facts.items()]
    text = NOTES.read_text()
    for name, content in {
        "DATE": datetime.now(UTC).strftime("%Y-%m-%d"),
        "TOOK": f"{took / 60:.0f} minutes",
        "MACHINE": "\n".join(["| | |", "|---|---|", *lines]),
        "TARGETS": targets(report),
        "TABLES": table(report),
    }.items():
        text = text.replace(f"<!-- {name} -->", content.strip())
    (DOCS / "performance.md").write_text(text)
    (DOCS / "performance").mkdir(exist_ok=True)
    groups = report.groups()
    _draw("stream", "CPU per streamed frame, median", "µs", groups, lambda line: line.cpu)
    _draw("rpc", "CPU per request, median", "µs", groups, lambda line: line.cpu)
    _draw("idle", "Memory of an idle connection", "KiB", groups, lambda line: line.of("each_kib") or 0)
    _draw("reply", "CPU per frame of one long reply", "µs", groups, lambda line: line.cpu)


def _draw(
    group: str, title: str, unit: str, groups: dict[str, dict[str, list[Line]]], value: Callable[[Line], float]
) -> None:
    bars = {row: [(line.measurement.client, value(line)) for line in lines] for row, lines in groups[group].items()}
    plot.bars(DOCS / "performance" / f"{group}.svg", title, unit, bars)


def _quotient(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


def _ratio(cost: float, of: float | None) -> str:
    return "" if of is None else f"{cost / of:.2f}"


def _number(value: float | None, digits: int, scale: float = 1) -> str:
    return "" if value is None else f"{value * scale:,.{digits}f}"
