"""`pair`: have this device approved."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext

from openclaw_client.cli.connect import described
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.look import choose_look
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.cli.view import PlainLook, remark
from openclaw_client.errors import PairingRequired
from openclaw_client.errors.peer_text import one_line
from openclaw_client.sync.client import GatewayClient

HELP = """\
have this device approved, and wait until it is
Prints the command that approves it on the gateway's machine. Ctrl-C ends the
wait; the request stays at the gateway."""

_WAITING = "waiting for the approval; Ctrl-C ends this"

_TEXT = """\
The gateway wants this device approved. On the gateway's machine:

  {command}

or from a device that may approve others: openclaw-client devices{other}

device  {device}
reason  {reason}
scopes  {requested}{approved}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-wait", action="store_true", help="only ask: code 5 where the approval is pending")


def run(options: Options) -> int:
    with described(options) as client, ExitStack() as stack:

        def tell(error: PairingRequired) -> None:
            stack.close()
            _announce(error, options)
            if not options.no_wait:
                stack.enter_context(_status(options))

        try:
            client.pair(wait=not options.no_wait, on_pending=tell)
        except PairingRequired:
            if options.json:
                raise
            # All of it was just printed, and more than fits a line.
            return ExitCode.PAIRING
        stack.close()
        _congratulate(client, options)
    return ExitCode.OK


def _announce(error: PairingRequired, options: Options) -> None:
    if options.json:
        names = ("request_id", "device_id", "reason", "requested_scopes", "approved_scopes", "command")
        json_line("pairing_required", {name: getattr(error, name) for name in names})
        return
    other = f" approve {error.request_id}" if error.request_id else " list"
    approved = one_line(", ".join(error.approved_scopes))
    write(
        _TEXT.format(
            command=error.command,
            other=other,
            device=one_line(error.device_id or "unknown"),
            reason=one_line(error.reason or "not told"),
            requested=one_line(", ".join(error.requested_scopes) or "none"),
            approved=f" (approved so far: {approved})" if approved else "",
        )
    )


def _congratulate(client: GatewayClient, options: Options) -> None:
    hello = client.hello
    scopes = hello.granted_scopes if hello is not None else None
    if options.json:
        json_line("paired", {"scopes": scopes, "protocol": client.negotiated_protocol})
    else:
        write("this device is approved" + (f": {', '.join(scopes)}" if scopes else "") + "\n")


def _status(options: Options) -> AbstractContextManager[object]:
    """What is shown while nothing happens: a line that moves where one can, else a remark."""
    if not options.json and not isinstance(choose_look(), PlainLook):
        from openclaw_client.cli.render import new_console

        return new_console().status(_WAITING)
    if not options.json or sys.stderr.isatty():
        remark(_WAITING)
    return nullcontext()
