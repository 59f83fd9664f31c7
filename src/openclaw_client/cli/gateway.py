"""`gateway`: serve the embedded gateway."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from openclaw_client.cli.connect import read_token
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.cli.view import remark
from openclaw_client.errors import UsageError
from openclaw_client.sync.threads import latch

if TYPE_CHECKING:
    from openclaw_client.testing import BlockingEmbeddedGateway

STANDARD_PORT = 18789
"""Where a gateway listens unless told, and where a client looks for it."""
MAX_PORT = 65535
"""Ports have 16 bits."""

HELP = """\
serve a gateway for trying out clients
On loopback, until Ctrl-C. Its agent echoes, or is yours: no model, no Node and no network are needed."""

_TEXT = """\
url    {url}
token  {token}

Speaks wire v{protocol}, as OpenClaw {release} does. In another terminal:
  export OPENCLAW_GATEWAY_URL={url}
  export OPENCLAW_GATEWAY_TOKEN={variable}
  openclaw-client chat

Ctrl-C ends it, and forgets everything.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=_port,
        metavar="PORT",
        help=f"the port, 0 for a free one (default: {STANDARD_PORT}, or a free one where that is taken)",
    )
    parser.add_argument("--protocol", type=int, choices=(3, 4), help="the wire version to speak (default: 4)")
    parser.add_argument(
        "--agent",
        metavar="MY.PY:NAME",
        help="who answers: an async generator function in a file or a module (default: an echo)",
    )


def run(options: Options) -> int:
    # Only here: no other command needs it, and it takes its time to load.
    from openclaw_client.cli.agent_file import load_agent
    from openclaw_client.testing import DEFAULT_TOKEN, BlockingEmbeddedGateway
    from openclaw_client.testing.scripts import typed_echo

    given = read_token(options)
    agent = typed_echo if options.agent is None else load_agent(options.agent)

    def on(port: int) -> BlockingEmbeddedGateway:
        return BlockingEmbeddedGateway(agent, token=given or DEFAULT_TOKEN, protocol=options.protocol, port=port)

    with closing(_started(on, options.port)) as gateway:
        # A token that somebody chose is that person's secret; the built-in one is none.
        _announce(gateway, None if given else DEFAULT_TOKEN, options)
        try:
            # Not an Event's: a signal in the moment in which that begins to wait would not end it.
            latch().wait()
        except KeyboardInterrupt:
            return ExitCode.OK
    return ExitCode.OK


def _started(on: Callable[[int], BlockingEmbeddedGateway], port: int | None) -> BlockingEmbeddedGateway:
    """A gateway on the port that was asked for, else on the one where clients look for it, else on a free one."""
    gateway = on(STANDARD_PORT if port is None else port)
    try:
        gateway.start()
    except OSError as error:
        if port is None:
            remark(f"port {STANDARD_PORT} is taken: this gateway has another")
            return _started(on, 0)
        raise UsageError(
            message=f"port {port} cannot be used: {error.strerror or error}", remedy="Leave --port out"
        ) from error
    return gateway


def _announce(gateway: BlockingEmbeddedGateway, token: str | None, options: Options) -> None:
    facts = {"url": gateway.url, "protocol": gateway.profile.protocol, "release": gateway.profile.release}
    if options.json:
        json_line("gateway", {**facts, "token": token})
    else:
        write(_TEXT.format(**facts, token=token or "(the one you gave)", variable=token or "…"))


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
