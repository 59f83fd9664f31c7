"""The client that a command line describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from openclaw_client.cli.headers import read_headers
from openclaw_client.cli.options import Options
from openclaw_client.client.options import Identity, Timeouts
from openclaw_client.errors import UsageError
from openclaw_client.identity import DeviceIdentity, FileIdentityStore
from openclaw_client.sync.client import GatewayClient

Sessions = Iterable[str] | Callable[[str], bool] | None


@contextmanager
def connected(
    options: Options,
    *,
    sessions: Sessions = None,
    scopes: Iterable[str] | None = None,
    answers: Iterable[str] = (),
) -> Iterator[GatewayClient]:
    """A connected client, and with --embedded its gateway, for the length of a block.

    scopes: what the command needs, where no --scopes was given. answers: what somebody here answers. Raises what
    `connect()` raises, and UsageError.
    """
    with described(options, sessions=sessions, scopes=scopes, answers=answers) as client:
        client.connect()
        yield client


@contextmanager
def described(
    options: Options,
    *,
    sessions: Sessions = None,
    scopes: Iterable[str] | None = None,
    answers: Iterable[str] = (),
) -> Iterator[GatewayClient]:
    """The same before it connects; disconnected behind the block. Raises UsageError."""
    with ExitStack() as stack:
        url, access = options.url, access_to(options)
        if options.embedded:
            # Only here: the gateway is of no use to the other commands, and takes its time to load.
            from openclaw_client.testing import BlockingEmbeddedGateway

            gateway = stack.enter_context(BlockingEmbeddedGateway())
            url, access["token"], access["identity"] = gateway.url, gateway.token, DeviceIdentity.generate()
        client = GatewayClient(url, sessions=sessions, scopes=options.scopes or scopes, answers=answers, **access)
        with closing(client):
            yield client


def access_to(options: Options) -> dict[str, Any]:
    """What the command line says of the way to a gateway, as clients and hosts of tools take it. Raises UsageError."""
    return {
        "token": read_token(options),
        "password": options.password,
        "identity": _identity(options),
        "timeouts": _timeouts(options),
        "tls_fingerprint": options.tls_fingerprint,
        "ca_file": options.ca_file,
        "headers": None if options.embedded else read_headers(options.headers, options.url),
    }


def read_token(options: Options) -> str | None:
    """The token, out of its file where it stands in one."""
    if options.token_file is None:
        return options.token
    try:
        token = Path(options.token_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(message=f"the token file {options.token_file} cannot be read: {why}") from error
    if not token:
        raise UsageError(message=f"the token file {options.token_file} is empty")
    return token


def _identity(options: Options) -> Identity:
    if options.identity is not None:
        return FileIdentityStore(options.identity)
    return False if options.no_device else None


def _timeouts(options: Options) -> Timeouts:
    """--timeout is for the answer; what comes before it never waits longer, and keeps its own limit otherwise."""
    limits = Timeouts()
    if options.timeout is None:
        return limits
    assert limits.request is not None
    connect, acknowledge = min(limits.connect, options.timeout), min(limits.request, options.timeout)
    if options.command in ("chat", "doctor"):
        # The doctor's last step is a chat.
        return replace(limits, connect=connect, request=acknowledge, total=options.timeout)
    return replace(limits, connect=connect, request=options.timeout)
