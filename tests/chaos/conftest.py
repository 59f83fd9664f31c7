"""Gateways for chaos: embedded ones in this process, real ones started once per release."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.real import RealStage
from tests.gateways.model import StubModel


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


@pytest.fixture(scope="session")
def chaos_seed(pytestconfig: pytest.Config) -> int:
    """What random faults are made of; the same seed makes the same."""
    given = pytestconfig.getoption("--chaos-seed")
    return int(given) if given is not None else random.SystemRandom().randrange(2**32)


@pytest.fixture(scope="session")
def stub_model() -> Iterator[StubModel]:
    """The model provider behind the real gateways."""
    with StubModel() as model:
        yield model


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "real" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("release")
        releases = marked.args if marked else ("2026.4.15", "2026.6.1", "2026.9.6")
        metafunc.parametrize("real", releases, indirect=True, scope="session")


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest) -> Iterator[RealStage]:
    """One real gateway per release, started when its first test comes; for tests that are `only(gateways="real")`."""
    stage = RealStage(request.param, request.getfixturevalue("stub_model"))
    try:
        stage.begin()
        yield stage
    finally:
        stage.close()
