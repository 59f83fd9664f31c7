"""`files`: what agents sent in a session."""

from __future__ import annotations

import argparse

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line, write
from openclaw_client.errors.peer_text import one_line
from openclaw_client.wire.files import AgentFile

HELP = """\
list the files that agents sent in the session, oldest first
With the ids that `download` takes. For gateways of 2026.5.12 and later."""


def configure(parser: argparse.ArgumentParser) -> None:
    del parser


def run(options: Options) -> int:
    with connected(options, sessions=[options.session_key]) as client:
        found = client.files(session_key=options.session_key)
    for file in found:
        if options.json:
            json_line("file", fields_of(file))
        else:
            write(f"{described(file)}\n")
    if options.json:
        json_line("files", {"count": len(found)})
    elif not found:
        write("no files were sent in this session\n")
    return ExitCode.OK


def described(file: AgentFile) -> str:
    """A file in one line."""
    size = "? B" if file.size is None else f"{file.size} B"
    return f"{one_line(file.artifact_id)} {size} {file.mime_type} {file.name}"
