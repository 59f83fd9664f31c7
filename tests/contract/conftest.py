"""Starts each release once per run and shares it: a real gateway takes up to half a minute to come."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.contract.nodes import Node, Person, new_name
from tests.contract.targets import RELEASES, Real, Target, embedded_target

REAL_TIMEOUT = 300
"""Seconds for one test on a real gateway, restarts and first turns included."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("release")
        releases = marked.args if marked else RELEASES
        metafunc.parametrize("target", releases, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--gateways") == "real":
        for item in items:
            item.add_marker(pytest.mark.timeout(REAL_TIMEOUT))


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """One gateway per release, started when its first test comes and stopped behind its last."""
    if request.config.getoption("--gateways") == "real":
        shared = request.getfixturevalue("shared_gateway")
        yield Real(shared.of(request.param), shared.model)
    else:
        with embedded_target(request.param) as target:
            yield target


@pytest.fixture(scope="session")
def proxied(target: Target) -> Iterator[tuple[str, str]]:
    """URL and token of the release's gateway that lets nobody from elsewhere in without an approval."""
    with target.behind_proxy() as door:
        yield door


@pytest.fixture
def session() -> str:
    """A session of this test's own: releases of wire v3 are busy for a moment after a final."""
    return f"contract-{uuid4().hex[:12]}"


@pytest.fixture
def person(target: Target) -> Iterator[Person]:
    """Somebody who talks to the agent and may approve nodes, by raw frames."""
    with Person(target) as person:
        yield person


@pytest.fixture
def node(target: Target, person: Person) -> Iterator[Node]:
    """A node that may offer tools."""
    with Node(target) as node:
        person.approve(node)
        yield node


@pytest.fixture
def name(node: Node) -> str:
    """The name of a tool that the node offers."""
    name = new_name()
    assert node.published(name) == [name]
    return name
