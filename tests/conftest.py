"""What all tests share: no test sees the real home folder or the caller's gateway settings."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from openclaw_client.connection.breakers import _breakers, _known
from tests.chaos import report
from tests.faces import Face
from tests.gateways.install import RELEASES
from tests.gateways.model import StubModel
from tests.gateways.shared import SharedGateway

# A loaded machine is slow now and then; what hangs is ended by the time limit of the test.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Begun in the background of a script. The programs under test would inherit that, and never hear of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--gateways",
        choices=("embedded", "real"),
        default="embedded",
        help="what the contract tests run against: the embedded gateway, or real OpenClaw releases",
    )

    parser.addoption(
        "--release",
        action="append",
        metavar="RELEASE",
        help="of the contract and chaos tests, only those on this release; may be given several times",
    )
    parser.addoption(
        "--faces",
        choices=("both", "ends"),
        default="both",
        help="on which releases the tests of both faces run blocking, too: on all, or on the oldest and the newest",
    )
    parser.addoption(
        "--chaos",
        choices=("short", "full"),
        default="short",
        help="how long the chaos tests take: what fits into a few minutes, or everything (make chaos)",
    )
    parser.addoption("--chaos-seed", type=int, default=None, help="repeat the random chaos of an earlier run")
    parser.addoption("--chaos-report", metavar="FILE", default=None, help="also write the figures of chaos as JSON")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["chaos"] = report.rows()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process that had a part of the tests has ended (pytest-xdist)."""
    report.take(getattr(node, "workeroutput", {}).get("chaos", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = report.lines()
    if table:
        terminalreporter.section("chaos: what came of it")
        for line in table:
            terminalreporter.write_line(line)
    if config.getoption("--chaos-report") and table:
        report.write(Path(config.getoption("--chaos-report")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What belongs to another kind of run is no part of this one: a test that is skipped is one that could not run."""

    releases = config.getoption("--release")

    def belongs(item: pytest.Item) -> bool:
        wanted = [one for mark in item.iter_markers("only") for one in mark.kwargs.items()]
        if releases and _release_of(item) not in releases:
            return False
        if config.getoption("--faces") == "ends" and _face_of(item) == "sync" and _release_of(item) in RELEASES[1:-1]:
            return False
        return all(config.getoption(f"--{option}") == value for option, value in wanted)

    others = [item for item in items if not belongs(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if belongs(item)]


def _release_of(item: pytest.Item) -> object:
    """The release that a contract or chaos test runs on; None for tests that know no releases."""
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return params.get("target", params.get("real"))


def _face_of(item: pytest.Item) -> object:
    """The face that a test runs on; None for tests that know none."""
    return item.callspec.params.get("face") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None


@pytest.fixture(scope="session")
def stub_model() -> Iterator[StubModel]:
    """The model provider behind the real gateways."""
    with StubModel() as model:
        yield model


@pytest.fixture(scope="session")
def shared_gateway(stub_model: StubModel) -> Iterator[SharedGateway]:
    """The real gateway that contract and chaos tests share."""
    with SharedGateway(stub_model) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and none of the variables that name a gateway."""
    home = tmp_path_factory.mktemp("home")
    for name in tuple(os.environ):
        if name.startswith("OPENCLAW_") and name != "OPENCLAW_GATEWAY_CACHE":
            monkeypatch.delenv(name)
    # A port may come back within the minute for which a breaker remembers failures.
    _breakers.clear()
    _known.clear()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(home / "state"))
    return home


@pytest.fixture(params=["async", "sync"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """One of the two faces; a test that takes it runs on both."""
    face = Face(request.param)
    yield face
    face.close()


@pytest.fixture
async def no_leaks() -> AsyncIterator[None]:
    """Fails a test that leaves a task of the client behind on its loop."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if task.get_name().startswith("openclaw")]
    assert not left, f"tasks left behind: {left}"
