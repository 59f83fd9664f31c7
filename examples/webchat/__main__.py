"""`python -m examples.webchat`: the chat on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from examples.webchat.server import Setup, build_app, make_server

HELP = """\
A chat in the browser for several users.
Without a URL it brings its own gateway, which needs no model and forgets everything at the end. There are no passwords:
keep it on this machine, or put your own login in place of examples/webchat/accounts.py."""


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    state = Path(os.environ.get("OPENCLAW_STATE_DIR") or Path.home() / ".openclaw") / "webchat"
    setup = Setup(
        users=tuple(options.users.split(",")),
        url=options.url,
        token=os.environ.get("OPENCLAW_GATEWAY_TOKEN") if options.token is None else options.token,
        state=state if options.url else None,
        hosts=(options.host, *options.name),
        secret=os.environb.get(b"WEBCHAT_SECRET"),
    )
    try:
        app = build_app(setup)
    except ValueError as error:
        sys.exit(f"webchat: {error}")
    # The host alone: there are URLs with a secret in them.
    gateway = urlsplit(options.url).hostname if options.url else "the embedded gateway"
    users = ", ".join(setup.users)
    print(f"http://{options.host}:{options.port}  for {users}, over {gateway}. Ctrl-C ends it.", flush=True)
    # The server raises the signal again when it has ended in good order.
    with contextlib.suppress(KeyboardInterrupt):
        make_server(app, host=options.host, port=options.port).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.webchat", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    url = os.environ.get("OPENCLAW_GATEWAY_URL")
    parser.add_argument("--url", default=url, help="the gateway (default: OPENCLAW_GATEWAY_URL, else the embedded one)")
    parser.add_argument("--token", help="its token (default: OPENCLAW_GATEWAY_TOKEN, which other users cannot see)")
    parser.add_argument(
        "--users", default="ada,grace,alan", metavar="NAMES", help="who may sign in (default: %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    name = "a further name under which browsers reach it; others are refused"
    parser.add_argument("--name", action="append", default=[], help=name)
    parser.add_argument("--port", type=int, default=8765, help="the port (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
