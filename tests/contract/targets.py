"""What the contract tests run against: a gateway of one release, real or embedded, behind the same few names."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from openclaw_client import MemoryIdentityStore, Timeouts
from openclaw_client.errors import GatewayError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import BlockingEmbeddedGateway, EmbeddedGateway, Turn
from openclaw_client.testing.profiles import PROFILES, Profile
from tests.gateways.install import RELEASES
from tests.gateways.launch import RealGateway
from tests.gateways.model import long_text

FORWARDED = {"X-Forwarded-For": "203.0.113.7"}
"""What makes a client of this machine one from elsewhere, which no gateway lets in without an approval."""

PACE = 0.03
"""Seconds between two pieces of the embedded gateway's slow answer; above its throttle of 10 ms."""

__all__ = ["RELEASES", "Real", "Target", "embedded_target"]


class Target(Protocol):
    """One running gateway. Blocking; `restart` stops it with SIGTERM (the embedded one: the same announcement)."""

    release: str
    profile: Profile
    protocol: int
    url: str
    token: str
    real: bool
    names_runs: bool
    """Whether the history tells which run a message was answered in."""

    def stop(self) -> None: ...

    def start(self) -> None: ...

    def asked(self, text: str) -> int:
        """How often the model was asked this."""
        ...

    def pictures(self, text: str) -> int:
        """How many images came with the message when the model was asked this the last time."""
        ...

    def prompted(self, text: str, prompt: str) -> int:
        """How often the model was asked this with these words in its system prompt."""
        ...

    @property
    def other_model(self) -> str:
        """A model that can be asked for; `models` tells which one was asked."""
        ...

    def models(self, text: str) -> list[str]:
        """The models that were asked this."""
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

    def with_tool_search(self) -> contextlib.AbstractContextManager[tuple[str, str]]:
        """The URL and the token of a gateway whose agents search for their tools, as they do unless it is set."""
        ...


def names_runs(profile: Profile) -> bool:
    """Whether rows of the history carry the key of a message, in whatever place; its run has the same id."""
    return profile.user_keys != "none" or profile.wraps_user_text


class Real:
    """A real gateway that runs and is warm."""

    real = True

    def __init__(self, gateway: Any, model: Any) -> None:
        self._gateway, self._model = gateway, model
        self.release: str = gateway.version
        self.profile = PROFILES[self.release]
        self.protocol = self.profile.protocol
        self.names_runs = names_runs(self.profile)
        self.url: str = gateway.url
        self.token: str = gateway.token

    def stop(self) -> None:
        self._gateway.stop()

    def start(self) -> None:
        self._gateway.start()
        self._gateway.wait_ready()

    def asked(self, text: str) -> int:
        return int(self._model.count(text))

    def pictures(self, text: str) -> int:
        messages = self._model.requests(text)[-1].body["messages"]
        contents = [message["content"] for message in messages if isinstance(message.get("content"), list)]
        return sum(part.get("type") == "image_url" for content in contents for part in content)

    def prompted(self, text: str, prompt: str) -> int:
        asked = [one.body["messages"] for one in self._model.requests(text) if not one.after_tool]
        systems = [[json.dumps(one["content"]) for one in messages if one["role"] == "system"] for messages in asked]
        return sum(any(json.dumps(prompt)[1:-1] in one for one in system) for system in systems)

    other_model = "stub/stub-2"

    def models(self, text: str) -> list[str]:
        return [one.body["model"] for one in self._model.requests(text) if not one.after_tool]

    def put(self, name: str, data: bytes) -> None:
        """Write a file where the agent works."""
        (self._gateway.home / "workspace" / name).write_bytes(data)

    @contextlib.contextmanager
    def with_password(self) -> Iterator[tuple[str, str]]:
        with RealGateway(self.release, model_url=self._model.url, auth="password") as second:
            assert second.password is not None
            yield second.url, second.password

    @contextlib.contextmanager
    def behind_proxy(self) -> Iterator[tuple[str, str]]:
        if not self.profile.refuses_proxies:
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

    @contextlib.contextmanager
    def with_tool_search(self) -> Iterator[tuple[str, str]]:
        with RealGateway(self.release, model_url=self._model.url) as second:
            assert second.token is not None
            yield second.url, second.token


class _Embedded:
    real = False

    def __init__(self, gateway: Any, release: str, turns: Turns) -> None:
        self._gateway, self._turns = gateway, turns
        self.release = release
        self.profile = PROFILES[release]
        self.protocol = self.profile.protocol
        self.names_runs = names_runs(self.profile)
        self.url: str = gateway.url
        self.token: str = gateway.token

    def stop(self) -> None:
        self._gateway.stop()

    def start(self) -> None:
        self._gateway.start()

    def asked(self, text: str) -> int:
        # A gateway that answers several messages in one run hands them over as one.
        return sum(count for message, count in self._turns.asked.items() if text in message)

    def pictures(self, text: str) -> int:
        return self._turns.pictures.get(text, 0)

    def prompted(self, text: str, prompt: str) -> int:
        found = [given for message, given, _ in self._turns.wishes if text in message]
        return sum(given is not None and prompt in given for given in found)

    other_model = "embedded/embedded-1"

    def models(self, text: str) -> list[str]:
        return [(model or "").rpartition("/")[2] for message, _, model in self._turns.wishes if text in message]

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

    @contextlib.contextmanager
    def with_tool_search(self) -> Iterator[tuple[str, str]]:
        with embedded_target(self.release, tool_search=True) as second:
            yield second.url, second.token


class _KnowsItsProxy(EmbeddedGateway):
    """As 2026.9.6 is with 127.0.0.1 among its trusted proxies."""

    @property
    def profile(self) -> Profile:
        return replace(super().profile, refuses_proxies=False)


@contextlib.contextmanager
def embedded_target(release: str, **options: Any) -> Iterator[Target]:
    """An embedded gateway of a release's profile, with an agent that answers as the stub model does."""
    turns = Turns()
    # The real ones of the contract tests show their model the tools of nodes without a search, too.
    options = {"tool_search": False, **options}
    with BlockingEmbeddedGateway(directive_agent(turns), release=release, **options) as gateway:
        yield _Embedded(gateway, release, turns)


@dataclass
class Turns:
    """What an agent was asked: how often each message, with how many pictures the last time, and each message with its
    system prompt and model."""

    asked: dict[str, int] = field(default_factory=dict)
    pictures: dict[str, int] = field(default_factory=dict)
    wishes: list[tuple[str, str | None, str | None]] = field(default_factory=list)


def directive_agent(turns: Turns) -> Callable[[Turn], AsyncIterator[str]]:
    """The directives of tests/gateways/model.py that the contract uses, as an agent of the embedded gateway."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        turns.asked[turn.message] = turns.asked.get(turn.message, 0) + 1
        turns.pictures[turn.message] = len(turn.attachments)
        turns.wishes.append((turn.message, turn.system_prompt, turn.model))
        # The last one counts, as for the stub model: a gateway may hand over several messages at once.
        _, mark, directive = turn.message.rpartition("stub:")
        kind, _, rest = directive.partition(" ")
        if kind in ("slow", "work") and mark:
            async for piece in _pieces(turn, kind, rest):
                yield piece
        elif kind in ("fail", "latefail") and mark:
            status, pause = numbers_of(rest, 0, 0)
            await asyncio.sleep(pause / 1000 if kind == "latefail" else 0)
            turn.fail(f"stub failure {status}")
        elif kind == "exec" and mark:
            yield await _approved(turn, rest)
        elif kind == "ask" and mark:
            yield await _answered(turn, json.loads(rest))
        elif kind == "call" and mark:
            yield await _called(turn, rest)
        else:
            if kind == "tool":
                turn.tool("process", {"action": "list"}, "no sessions")
            words = _words(kind, rest) if mark else f"echo: {turn.message}"
            if words:
                yield words

    return agent


async def _approved(turn: Turn, command: str) -> str:
    """What the stub model says of a command: its output, if it may run."""
    output = command.removeprefix("echo ")
    decision = await turn.ask_approval(command, output=output)
    return output if decision in ("allow-once", "allow-always") else f"not run: {command}"


async def _answered(turn: Turn, items: list[dict[str, Any]]) -> str:
    """What the stub model says of a question: the answers, as the tool's result begins."""
    # The gateway names an item anew, and takes text beside its options, whatever the agent says.
    asked = [{"questionId": one["id"], "isOther": True, **one} for one in items]
    for one in asked:
        del one["id"]
    answers = await turn.ask_question(asked)
    if answers is None:
        return "The question was cancelled; proceed with best judgment."
    return "\n".join(f"{one['header']}: {', '.join(answers[one['questionId']])}" for one in asked)


async def _called(turn: Turn, rest: str) -> str:
    """What the stub model says of its calls: the texts of their results."""
    name, _, arguments = rest.partition(" ")
    given = json.loads(arguments)
    answers = [await turn.call_tool(name, one) for one in (given if isinstance(given, list) else [given])]
    return "\n".join(answer.told for answer in answers)


def _words(kind: str, rest: str) -> str:
    """What is said at once."""
    known = {"long": lambda: long_text(int(rest)), "tool": lambda: f"tool answered: {rest}", "say": lambda: rest}
    return known.get(kind, lambda: "" if kind == "empty" else f"echo: {rest}")()


async def _pieces(turn: Turn, kind: str, rest: str) -> AsyncIterator[str]:
    """What is said piece by piece, with a tool call in the middle of `work`."""
    count, pause = numbers_of(rest, 0, int(PACE * 1000))
    middle = count // 2 + 1 if kind == "work" else 0
    for number in range(1, count + 1):
        if number == middle:
            turn.tool("process", {"action": "list"}, "no sessions")
        yield f"piece-{number}" if number in (1, middle) else f" piece-{number}"
        # The pace of the stub model: what is under test are pieces that come one by one.
        await asyncio.sleep(pause / 1000)


def numbers_of(words: str, *defaults: int) -> list[int]:
    """The numbers at the beginning of these words, completed by the defaults."""
    given = [int(word) for word in itertools.takewhile(str.isdigit, words.split())]
    return [*given, *defaults[len(given) :]][: len(defaults)]


@contextlib.asynccontextmanager
async def minutes_in_seconds(target: Target, client: Any, hurried: Collection[str] = ()) -> AsyncIterator[None]:
    """Within it the clock of the running loop is moved on with every answer that this client gets from the embedded
    gateway, for tests that wait for a long silence. Real gateways are given their time, but for the releases `hurried`:
    a tenth of it."""
    if target.real and target.release not in hurried:
        yield
        return
    loop, ahead = asyncio.get_running_loop(), 0.0

    async def move() -> None:
        nonlocal ahead
        while True:
            with contextlib.suppress(GatewayError):
                # A minute in which no frame came by the true clock, and the client begins another connection.
                await client.request("health")
            await asyncio.sleep(0.05 if target.real else 0.01)
            ahead += 0.5

    # Not put back: a clock that goes backwards is none.
    loop.time = lambda: time.monotonic() + ahead  # type: ignore[method-assign]
    moving = asyncio.create_task(move())
    try:
        yield
    finally:
        moving.cancel()


def device_store() -> MemoryIdentityStore:
    """A device of its own, in memory."""
    return MemoryIdentityStore(DeviceIdentity.generate())


PATIENT = Timeouts(connect=30.0, request=60.0)
"""Real gateways on two busy cores answer within seconds; a minute means that they never will."""
