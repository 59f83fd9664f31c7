"""A gateway whose agent sends files that a test wrote, real or embedded, behind the same few names."""

from __future__ import annotations

import contextlib
import http.client
import json
import mimetypes
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.contract.targets import Real, Target
from tests.gateways.raw import Frame, RawClient, RawError

PATIENCE = 30.0
"""Seconds for what a real gateway does in a few."""

_TYPES = {".md": "text/markdown", ".yaml": "application/yaml", ".bin": "application/octet-stream"}


@dataclass
class Filing:
    """Where a test and the agent of a gateway have their files."""

    url: str
    token: str
    release: str
    put: Callable[[str, bytes], None] = field(repr=False)

    def client(self, **options: object) -> RawClient:
        return RawClient(url=self.url, token=self.token, **options)  # type: ignore[arg-type]

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Got:
        """A plain GET of the gateway's port."""
        place = urlsplit(self.url)
        line = http.client.HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE)
        with contextlib.closing(line):
            line.request("GET", path, headers=dict(headers or {}))
            answer = line.getresponse()
            known = {name.lower(): value for name, value in answer.getheaders()}
            return Got(answer.status, known, answer.read())


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


@contextlib.contextmanager
def filing(target: Target) -> Iterator[Filing]:
    """The target itself where it is real, else an embedded gateway with an agent that sends files."""
    if isinstance(target, Real):
        yield Filing(target.url, target.token, target.release, target.put)
        return
    files: dict[str, bytes] = {}
    with BlockingEmbeddedGateway(file_agent(files), release=target.release) as gateway:
        assert gateway.token is not None
        yield Filing(gateway.url, gateway.token, target.release, files.__setitem__)


def file_agent(files: Mapping[str, bytes]) -> Callable[[Turn], AsyncIterator[str]]:
    """Does with `stub:say` and `stub:call` what a real gateway and its stub model do."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        kind, _, rest = turn.message.removeprefix("stub:").partition(" ")
        if kind == "call":
            name, _, given = rest.partition(" ")
            wanted = json.loads(given)
            place = wanted.get("media") or wanted["path"]
            way = "message" if name == "message" else "result"
            _send(turn, files, place, way=way, text=wanted.get("message", ""))
            yield "done"
            return
        if kind == "tool":
            turn.tool("process", {"action": "list"}, "no sessions")
        lines = rest.replace("\\n", "\n").split("\n")
        for line in lines:
            if line.startswith("MEDIA:"):
                _send(turn, files, line.removeprefix("MEDIA:"), way="reply")
        words = "\n".join(line for line in lines if not line.startswith("MEDIA:"))
        if words:
            yield words

    return agent


def _send(turn: Turn, files: Mapping[str, bytes], place: str, **how: object) -> None:
    name = place.removeprefix("./")
    suffix = name[name.rindex(".") :]
    mime_type = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    turn.send_file(name, files[name], mime_type, **how)  # type: ignore[arg-type]


def refused(client: RawClient, method: str, params: Frame) -> Frame:
    """The error that a request is answered with."""
    try:
        answer = client.request(method, params)
    except RawError as error:
        told: Frame = error.response["error"]
        return told
    raise AssertionError(f"{method} was answered: {answer}")
