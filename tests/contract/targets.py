"""What the contract tests run against: a gateway of one release, real or embedded, behind the same few names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from openclaw_client import MemoryIdentityStore, Timeouts
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway, EmbeddedGateway, Turn
from openclaw_client.testing.profiles import Profile
from tests.gateways.install import RELEASES, release_key
from tests.gateways.launch import RealGateway
from tests.gateways.model import long_text

FORWARDED = {"X-Forwarded-For": "203.0.113.7"}
"""What makes a client of this machine one from elsewhere, which no gateway lets in without an approval."""

PACE = 0.03
"""Seconds between two pieces of the embedded gateway's slow answer; above its throttle of 10 ms."""

__all__ = ["RELEASES", "Target", "embedded_target", "real_target"]


class Target(Protocol):
    """One running gateway. Blocking; `restart` stops it with SIGTERM (the embedded one: the same announcement)."""

    release: str
    protocol: int
    url: str
    token: str
    real: bool

    def stop(self) -> None: ...

    def start(self) -> None: ...

    def asked(self, text: str) -> int:
        """How often the model was asked this."""
        ...

    def pictures(self, text: str) -> int:
        """How many images came with the message when the model was asked this the last time."""
        ...

    def with_password(self) -> contextlib.AbstractContextManager[tuple[str, str]]:
        """The URL and the password of a second gateway of this release, in password mode."""
        ...

    def behind_proxy(self) -> contextlib.AbstractContextManager[tuple[str, str]]:
        """The URL and the token of a gateway of this release that takes connects with FORWARDED."""
        ...

    def with_limiter(self, attempts: int, lockout: float) -> contextlib.AbstractContextManager[tuple[str, str]]:
        """The URL and the token of a gateway that locks all of this machine out after so many failures."""
        ...


def protocol_of(release: str) -> int:
    return 3 if release < "2026.5.12" else 4


def wants_proxies_named(release: str) -> bool:
    """Whether connects through a proxy that the configuration doesn't name are refused; older releases ask nothing."""
    return release_key(release) >= (2026, 9)


class _Real:
    real = True

    def __init__(self, gateway: Any, model: Any) -> None:
        self._gateway, self._model = gateway, model
        self.release: str = gateway.version
        self.protocol = protocol_of(self.release)
        self.url: str = gateway.url
        self.token: str = gateway.token

    def stop(self) -> None:
        self._gateway.stop()

    def start(self) -> None:
        self._gateway.start()

    def asked(self, text: str) -> int:
        return int(self._model.count(text))

    def pictures(self, text: str) -> int:
        messages = self._model.requests(text)[-1].body["messages"]
        contents = [message["content"] for message in messages if isinstance(message.get("content"), list)]
        return sum(part.get("type") == "image_url" for content in contents for part in content)

    @contextlib.contextmanager
    def with_password(self) -> Iterator[tuple[str, str]]:
        with RealGateway(self.release, model_url=self._model.url, auth="password") as second:
            assert second.password is not None
            yield second.url, second.password

    @contextlib.contextmanager
    def behind_proxy(self) -> Iterator[tuple[str, str]]:
        if not wants_proxies_named(self.release):
            yield self.url, self.token
            return
        config = {"gateway": {"trustedProxies": ["127.0.0.1"]}}
        with RealGateway(self.release, model_url=self._model.url, config=config) as second:
            assert second.token is not None
            yield second.url, second.token

    @contextlib.contextmanager
    def with_limiter(self, attempts: int, lockout: float) -> Iterator[tuple[str, str]]:
        limit = {"maxAttempts": attempts, "windowMs": 60_000, "lockoutMs": lockout * 1000, "exemptLoopback": False}
        config = {"gateway": {"auth": {"rateLimit": limit}}}
        with RealGateway(self.release, model_url=self._model.url, config=config) as second:
            assert second.token is not None
            yield second.url, second.token


_MANY_AT_ONCE = {"agents": {"defaults": {"maxConcurrent": 16}}}
"""Runs of different sessions that a gateway performs at the same time; 4 where nothing is said."""


@contextlib.contextmanager
def real_target(release: str, model: Any) -> Iterator[Target]:
    """A real gateway, started, ready and warm."""
    with RealGateway(release, model_url=model.url, config=_MANY_AT_ONCE) as gateway:
        gateway.warm_up()
        yield _Real(gateway, model)


class _Embedded:
    real = False

    def __init__(self, gateway: Any, release: str, asked: dict[str, int], pictures: dict[str, int]) -> None:
        self._gateway, self._asked, self._pictures = gateway, asked, pictures
        self.release = release
        self.protocol = protocol_of(release)
        self.url: str = gateway.url
        self.token: str = gateway.token

    def stop(self) -> None:
        self._gateway.stop()

    def start(self) -> None:
        self._gateway.start()

    def asked(self, text: str) -> int:
        return self._asked.get(text, 0)

    def pictures(self, text: str) -> int:
        return self._pictures.get(text, 0)

    @contextlib.contextmanager
    def with_password(self) -> Iterator[tuple[str, str]]:
        with BlockingEmbeddedGateway(release=self.release, token=None, password="contract-password") as second:
            yield second.url, "contract-password"

    @contextlib.contextmanager
    def behind_proxy(self) -> Iterator[tuple[str, str]]:
        with BlockingEmbeddedGateway.around(_KnowsItsProxy(release=self.release)) as second:
            assert second.gateway.token is not None
            yield second.url, second.gateway.token

    @contextlib.contextmanager
    def with_limiter(self, attempts: int, lockout: float) -> Iterator[tuple[str, str]]:
        with BlockingEmbeddedGateway(release=self.release, max_attempts=attempts, lockout=lockout) as second:
            assert second.gateway.token is not None
            yield second.url, second.gateway.token


class _KnowsItsProxy(EmbeddedGateway):
    """As 2026.9.6 is with 127.0.0.1 among its trusted proxies."""

    @property
    def profile(self) -> Profile:
        return replace(super().profile, refuses_proxies=False)


@contextlib.contextmanager
def embedded_target(release: str, **options: Any) -> Iterator[Target]:
    """An embedded gateway of a release's profile, with an agent that answers as the stub model does."""
    asked: dict[str, int] = {}
    pictures: dict[str, int] = {}
    with BlockingEmbeddedGateway(directive_agent(asked, pictures), release=release, **options) as gateway:
        yield _Embedded(gateway, release, asked, pictures)


def directive_agent(asked: dict[str, int], pictures: dict[str, int]) -> Callable[[Turn], AsyncIterator[str]]:
    """The directives of tests/gateways/model.py that the contract uses, as an agent of the embedded gateway."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        asked[turn.message] = asked.get(turn.message, 0) + 1
        pictures[turn.message] = len(turn.attachments)
        # The last one counts, as for the stub model: a gateway may hand over several messages at once.
        _, mark, directive = turn.message.rpartition("stub:")
        kind, _, rest = directive.partition(" ")
        match kind if mark else "":
            case "slow":
                for number in range(1, int(rest) + 1):
                    yield f"piece-{number}" if number == 1 else f" piece-{number}"
                    # The pace of the stub model: what is under test are pieces that come one by one.
                    await asyncio.sleep(PACE)
            case "work":
                count, pause = (int(word) for word in rest.split()[:2])
                for number in range(1, count + 1):
                    if number == count // 2 + 1:
                        turn.tool("process", {"action": "list"}, "no sessions")
                    yield f"piece-{number}" if number in (1, count // 2 + 1) else f" piece-{number}"
                    await asyncio.sleep(pause / 1000)
            case "long":
                yield long_text(int(rest))
            case "fail":
                turn.fail(f"stub failure {rest}")
            case "tool":
                turn.tool("process", {"action": "list"}, "no sessions")
                yield f"tool answered: {rest}"
            case "echo":
                yield f"echo: {rest}"
            case _:
                yield f"echo: {turn.message}"

    return agent


def device_store() -> MemoryIdentityStore:
    """A device of its own, in memory."""
    return MemoryIdentityStore(DeviceIdentity.generate())


PATIENT = Timeouts(connect=30.0, request=60.0)
"""Real gateways on two busy cores answer within seconds; a minute means that they never will."""
