"""Gateways for chaos: embedded ones in this process, real ones started once per release."""

from __future__ import annotations

import random

import pytest

from tests.chaos.real import RealStage
from tests.gateways.shared import SharedGateway


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether everything is tried, or what fits into a few minutes."""
    return bool(pytestconfig.getoption("--chaos") == "full")


@pytest.fixture(scope="session")
def chaos_seed(pytestconfig: pytest.Config) -> int:
    """What random faults are made of; the same seed makes the same."""
    given = pytestconfig.getoption("--chaos-seed")
    return int(given) if given is not None else random.SystemRandom().randrange(2**32)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "real" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("release")
        releases = marked.args if marked else ("2026.4.15", "2026.6.1", "2026.9.6")
        metafunc.parametrize("real", releases, indirect=True, scope="session")


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest, shared_gateway: SharedGateway) -> RealStage:
    """A real gateway of a release; for tests that are `only(gateways="real")`."""
    return RealStage(shared_gateway.of(request.param), shared_gateway.model)
