"""`download`: a file that an agent sent, to a folder, a path, or stdout."""

from __future__ import annotations

import argparse
import sys

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line, write
from openclaw_client.cli.received import save
from openclaw_client.errors import FileGone, UsageError
from openclaw_client.errors.peer_text import harmless, one_line
from openclaw_client.files.calls import MAX_BYTES
from openclaw_client.sync.client import GatewayClient
from openclaw_client.wire.files import AgentFile

HELP = """\
get a file that an agent sent; says where it was written
`files` tells the ids. In a folder it gets its own name, and a number where that
is taken; a file that PATH names is replaced."""

STDOUT = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ident", metavar="ID", help="which file")
    parser.add_argument("path", metavar="PATH", nargs="?", help="a folder or a file (default: here); - is stdout")
    parser.add_argument("--max-bytes", type=_count, metavar="N", help=f"take no larger file (default: {MAX_BYTES})")


def run(options: Options) -> int:
    if options.path == STDOUT and options.json:
        raise UsageError(message="--json and the file itself both go to stdout", remedy="Give a PATH to write it to")
    most = MAX_BYTES if options.max_bytes is None else options.max_bytes
    with connected(options, sessions=[options.session_key]) as client:
        file = _find(client, options)
        if options.path == STDOUT:
            _to_stdout(client.download(file, max_bytes=most))
            return ExitCode.OK
        place = str(save(client, file, options.path, most))
        if options.json:
            json_line("download", {**fields_of(file), "path": place})
        else:
            write(f"{one_line(place)}\n")
    return ExitCode.OK


def _find(client: GatewayClient, options: Options) -> AgentFile:
    assert options.ident is not None
    found = client.files(session_key=options.session_key)
    file = next((one for one in found if one.artifact_id == options.ident), None)
    if file is None:
        remedy = "`files` tells what is there; --session names the session"
        raise FileGone(method="artifacts.list", artifact_id=one_line(options.ident), remedy=remedy)
    return file


def _to_stdout(data: bytes) -> None:
    if sys.stdout.isatty() and not _is_harmless(data):
        raise UsageError(
            message="the file has characters that steer a terminal; nothing was shown",
            remedy="Give a PATH to write it to, or send it on: `download ID - | less`",
        )
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


def _is_harmless(data: bytes) -> bool:
    try:
        text = data.decode(sys.stdout.encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return harmless(text.replace("\r\n", "\n")) == text.replace("\r\n", "\n")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes")
    return int(text)
