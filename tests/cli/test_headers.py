"""Headers for what stands in front of a gateway; and that no value of one is ever shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.cli.headers import VARIABLE, read_headers
from openclaw_client.cli.parser import parse
from openclaw_client.errors import UsageError
from tests.cli.conftest import Program
from tests.transport.servers import serving

SECRET = "canary-access-5b1d"


@contextmanager
def front() -> Iterator[tuple[str, list[str]]]:
    """The URL of a server that refuses every upgrade, and the lines that it was sent."""
    lines: list[str] = []

    async def serve(reader: Any, writer: Any) -> None:
        lines.extend((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n"))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    with serving(serve) as port:
        yield f"ws://127.0.0.1:{port}", lines


def test_headers_are_sent_and_never_shown(alone: Program, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text(f"X-File-Token: {SECRET}-file\n\nX-Both: file\n")
    with front() as (url, lines):
        alone.environment |= {"OPENCLAW_GATEWAY_URL": url, VARIABLE: f"X-Env-Token: {SECRET}-env\nX-Both: env"}
        before = ("--header", f"X-Before: {SECRET}-before", "--header", f"@{tmp_path / 'headers'}")
        ran = alone.run("-vv", *before, "history", "--header", f"Authorization: Basic {SECRET}")
    assert ran.code == 3
    for line in (
        f"X-Before: {SECRET}-before",
        f"X-File-Token: {SECRET}-file",
        f"X-Env-Token: {SECRET}-env",
        "X-Both: file",
        f"Authorization: Basic {SECRET}",
    ):
        assert line in lines
    assert "X-Both: env" not in lines
    assert SECRET not in ran.out + ran.err
    assert "--header" in ran.err


def test_the_environments_headers_go_to_its_gateway_only(alone: Program) -> None:
    with front() as (url, lines):
        alone.environment |= {"OPENCLAW_GATEWAY_URL": "ws://127.0.0.1:1", VARIABLE: f"X-Env-Token: {SECRET}"}
        alone.run("history", "--url", url)
    assert lines
    assert not [line for line in lines if SECRET in line]


@pytest.mark.parametrize("line", [SECRET, f": {SECRET}", f"a b: {SECRET}", f"Upgrade: {SECRET}", f"X: {SECRET}\nY: z"])
def test_what_is_no_header_is_refused_without_its_value(alone: Program, line: str) -> None:
    ran = alone.run("history", "--header", line)
    assert ran.code == 2
    assert "header" in ran.err
    assert SECRET not in ran.err


def test_a_file_of_headers_that_cannot_be_read_is_named() -> None:
    with pytest.raises(UsageError, match="the file of headers /nonexistent/h cannot be read"):
        read_headers(["@/nonexistent/h"], None, {})


def test_none_where_there_are_none() -> None:
    assert read_headers([], None, {}) is None
    assert read_headers([], "no url", {VARIABLE: "a: b"}) is None


def test_no_options_object_shows_a_header() -> None:
    assert SECRET not in repr(parse(["history", "--header", f"a: {SECRET}"]))
