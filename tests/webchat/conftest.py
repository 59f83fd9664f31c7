"""A gateway, the web application before it, and browsers to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from openclaw_client import DeviceIdentity, GatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.webchat.agent import agent
from tests.webchat.browser import Browser, Page, missing_browser
from tests.webchat.site import USERS, Site

OpenPage = Callable[[str], Page]


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[BlockingEmbeddedGateway]:
    """Parametrised indirectly with a release, one that behaves like it."""
    with BlockingEmbeddedGateway(agent, throttle=0, release=getattr(request, "param", None)) as gateway:
        yield gateway


@pytest.fixture
def other(gateway: BlockingEmbeddedGateway) -> Iterator[GatewayClient]:
    """Another program at the same gateway."""
    with GatewayClient(gateway.url, token=gateway.token, identity=DeviceIdentity.generate()) as other:
        yield other


@pytest.fixture
def site(gateway: BlockingEmbeddedGateway) -> Iterator[Site]:
    with Site(gateway) as site:
        yield site


@pytest.fixture(scope="session")
def browsers() -> Iterator[dict[str, Browser]]:
    """One per user, because a cookie belongs to a browser; started when first asked for, which takes seconds."""
    started: dict[str, Browser] = {}
    yield started
    for browser in started.values():
        browser.quit()


@pytest.fixture
def open_page(site: Site, browsers: dict[str, Browser]) -> Iterator[OpenPage]:
    """Sign in with a click, and wait until the conversation is there."""
    if reason := missing_browser():
        pytest.skip(reason)
    opened: list[Browser] = []

    def open_page(user: str) -> Page:
        assert user in USERS
        browser = browsers.get(user)
        if browser is None:
            browser = browsers[user] = Browser()
        opened.append(browser)
        return browser.sign_in(site.url, user)

    yield open_page
    for browser in opened:
        assert browser.complaints() == []
        browser.leave()
