"""What a browser asks of the application, over HTTP and without a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.waiting import PATIENCE
from tests.webchat.site import Site

KEY = "0123456789abcdef"


@dataclass(frozen=True)
class Told:
    id: str
    name: str
    data: dict[str, Any]


@contextmanager
def browser(site: Site, user: str | None = None, **options: Any) -> Iterator[httpx.Client]:
    cookies = site.cookies(user) if user else {}
    with httpx.Client(base_url=site.url, cookies=cookies, timeout=PATIENCE, **options) as client:
        yield client


@contextmanager
def feed(client: httpx.Client, last_id: str | None = None) -> Iterator[Iterator[Told]]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with client.stream("GET", "/api/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response.iter_lines())


def events(lines: Iterator[str]) -> Iterator[Told]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield Told(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


def ready(told: Iterator[Told]) -> Told:
    """The first snapshot with the history in it."""
    return next(one for one in told if one.name == "snapshot" and one.data["loaded"])


def until_over(told: Iterator[Told]) -> list[Told]:
    """Everything up to the end of a reply."""
    seen: list[Told] = []
    for one in told:
        seen.append(one)
        if one.name == "entry" and one.data["role"] == "assistant" and one.data["state"] not in ("waiting", "running"):
            return seen
    raise AssertionError(f"the feed ended: {seen}")


def reply_to(told: Iterator[Told], ident: str) -> dict[str, Any]:
    """The entry of this reply at its end."""
    over = (one.data for one in told if one.name == "entry" and one.data["id"] == ident)
    return next(entry for entry in over if entry["state"] not in ("waiting", "running"))


def send(client: httpx.Client, text: str, key: str = KEY) -> str:
    answer = client.post("/api/messages", json={"text": text, "key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
