"""Gateways for chaos: embedded ones in this process, real ones started once per release."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = report.lines()
    if table:
        terminalreporter.section("chaos: what came of it")
        for line in table:
            terminalreporter.write_line(line)
    if config.getoption("--chaos-report") and table:
        report.write(Path(config.getoption("--chaos-report")))


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether everything is tried, or what fits into a few minutes."""
    return bool(pytestconfig.getoption("--chaos") == "full")
