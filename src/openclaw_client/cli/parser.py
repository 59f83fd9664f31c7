"""From arguments to `Options`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn, Protocol

from openclaw_client.cli import (
    abort,
    answer,
    approvals,
    approve,
    call,
    chat,
    deny,
    devices,
    doctor,
    download,
    events,
    files,
    gateway,
    history,
    inject,
    journal,
    pair,
    pin,
    questions,
    sessions,
    skip,
    tools_call,
    tools_list,
    tools_serve,
)
from openclaw_client.cli.exit_codes import MEANINGS, ExitCode
from openclaw_client.cli.options import DEFAULT_SESSION, Options
from openclaw_client.version import __version__

PROGRAM = "openclaw-client"


class Command(Protocol):
    """A module of this folder that is a command."""

    @property
    def HELP(self) -> str:  # noqa: N802 - a constant of the module
        """What the command does: a line for the list of commands, and more for its own help."""
        ...

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments."""
        ...

    def run(self, options: Options) -> int:
        """Do it; returns the exit code. Raises GatewayError."""
        ...


class Group:
    """Several commands behind one word, each with arguments of its own."""

    def __init__(self, help_: str, commands: dict[str, Command]) -> None:
        self.HELP = help_
        self.commands = commands

    def configure(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
        for name, command in self.commands.items():
            _add_command(actions, name, command, headers="inner_headers")

    def run(self, options: Options) -> int:
        return self.commands[options.action].run(options)


TOOLS = Group(
    "serve Python functions as tools of the agent, list and try them",
    {"serve": tools_serve, "list": tools_list, "call": tools_call},
)
JOURNAL = Group(journal.HELP, {"show": journal.Show(), "replay": journal.Replay(), "prune": journal.Prune()})

COMMANDS: dict[str, Command] = {
    "chat": chat,
    "history": history,
    "sessions": sessions,
    "abort": abort,
    "inject": inject,
    "approvals": approvals,
    "approve": approve,
    "deny": deny,
    "questions": questions,
    "answer": answer,
    "skip": skip,
    "files": files,
    "download": download,
    "call": call,
    "events": events,
    "pair": pair,
    "devices": devices,
    "tools": TOOLS,
    "journal": JOURNAL,
    "doctor": doctor,
    "pin": pin,
    "gateway": gateway,
}

_ENVIRONMENT = """\
environment:
  OPENCLAW_GATEWAY_URL, OPENCLAW_GATEWAY_TOKEN, OPENCLAW_GATEWAY_PASSWORD
                       used where the options are not given; the credentials
                       go to the gateway of that URL only
  OPENCLAW_GATEWAY_TLS_FINGERPRINT, OPENCLAW_GATEWAY_CA_FILE
                       whom TLS trusts, where the options are not given
  OPENCLAW_CLIENT_HEADERS
                       lines "NAME: VALUE" for a proxy in front of that gateway
  OPENCLAW_STATE_DIR   where the device identity is kept

A --token, --password or --header on the command line can be seen by every
user of this machine: prefer the environment, --token-file or --header @FILE.
"""
_FILES = {"token_file", "identity", "ca_file", "module", "path"}
_POSITIONAL = {"message", "method", "params", "names", "action", "ident", "texts"}
_OPTIONS = {"headers": "--header", "host_name": "--name"}
"""Those that are not called as their field is."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""What Python makes of a byte that is none of the encoding's."""
_MORE = f"Options that all commands share, and the exit codes: `{PROGRAM} --help`."


def parse(argv: Sequence[str] | None) -> Options:
    """The options; SystemExit after --help and --version (0) and for what cannot work (2)."""
    parser = _parser()
    given = vars(parser.parse_args(argv))
    places = [given.pop(name, ()) for name in ("headers", "more_headers", "inner_headers")]
    given["headers"] = [line for lines in places for line in lines]
    options = Options(**given)
    _check(parser, options)
    return options


class _Parser(argparse.ArgumentParser):
    """Complains in one line. A value that was not given is not set: `Options` knows the defaults."""

    def __init__(self, **arguments: Any) -> None:
        arguments.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(argument_default=argparse.SUPPRESS, allow_abbrev=False, **arguments)

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"{PROGRAM}: {message}; see `{self.prog} --help`\n")


def _parser() -> _Parser:
    epilog = f"{_ENVIRONMENT}\n{_exit_codes()}"
    parser = _Parser(prog=PROGRAM, description="Talk to an OpenClaw gateway.", epilog=epilog)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _add_common(parser, shown=True, headers="headers")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        _add_command(commands, name, command, headers="more_headers")
    return parser


def _add_command(commands: Any, name: str, command: Command, *, headers: str) -> None:
    """headers: where those go that stand behind this command; they would take the place of what stands before it."""
    summary, *rest = command.HELP.split("\n", 1)
    description = "\n".join([summary[0].upper() + summary[1:] + ".", *rest])
    sub = commands.add_parser(name, help=summary, description=description, epilog=_MORE)
    command.configure(sub)
    # Once more, so that they can stand behind the command, too.
    _add_common(sub, shown=False, headers=headers)


def _exit_codes() -> str:
    lines = [f"  {code.value:<5}{meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(["exit codes:", *lines])


def _check(parser: argparse.ArgumentParser, options: Options) -> None:
    """What goes together and what does not."""
    if options.token is not None and options.token_file is not None:
        parser.error("--token and --token-file exclude each other")
    if options.no_device and options.identity is not None:
        parser.error("--no-device and --identity exclude each other")
    if options.ca_file is not None and options.tls_fingerprint is not None:
        parser.error("--ca-file and --tls-fingerprint exclude each other")
    connecting = {
        "--url": options.url,
        "--token": options.token,
        "--token-file": options.token_file,
        "--password": options.password,
        "--no-device": options.no_device,
        "--identity": options.identity,
        "--tls-fingerprint": options.tls_fingerprint,
        "--ca-file": options.ca_file,
        "--header": options.headers,
    }
    _check_encoding(parser, options)
    given = [name for name, value in connecting.items() if value]
    if options.embedded and given:
        parser.error(f"--embedded brings its own gateway and credentials: leave {given[0]} out")
    foreign = [name for name in given if not name.startswith("--token")] + ["--embedded"] * options.embedded
    if options.command == "gateway" and foreign:
        parser.error(f"{foreign[0]} says where to connect to: `gateway` does not connect")
    if options.command == "journal" and (given or options.embedded):
        parser.error(f"{[*given, '--embedded'][0]} says where to connect to: `journal` does not connect")
    if options.command == "tools":
        _check_tools(parser, options, given)


def _check_tools(parser: argparse.ArgumentParser, options: Options, connecting: list[str]) -> None:
    if options.action == "call" and (connecting or options.embedded):
        parser.error(f"{[*connecting, '--embedded'][0]} says where to connect to: `tools call` does not connect")
    if options.action != "serve":
        return
    if options.embedded:
        parser.error("--embedded has no agent that calls tools: `openclaw-client gateway` serves one to others")
    if options.no_device:
        parser.error("a host of tools is known by its device: leave --no-device out")
    if options.scopes and not options.approve:
        parser.error("a host of tools has no scopes: --scopes is for the operator of --approve")


def _check_encoding(parser: argparse.ArgumentParser, options: Options) -> None:
    """Bytes of another encoding than the locale's can be in the name of a file, and in nothing that is sent."""
    for entry in fields(options):
        value = getattr(options, entry.name)
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or text.isascii() or entry.name in _FILES or not _SURROGATE.search(text):
                continue
            if entry.name == "headers" and text.startswith("@"):
                continue
            option = _OPTIONS.get(entry.name) or f"--{entry.name.replace('_', '-')}"
            name = entry.name.upper() if entry.name in _POSITIONAL else option
            shown = "" if not entry.repr else f": {str(os.fsencode(text))[1:]}"
            parser.error(f"{name} is no text in {sys.getfilesystemencoding()}, the encoding of the locale{shown}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds")
    return seconds


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no name given")
    return names


_COMMON: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--url",), {"help": "the gateway (default: ws://127.0.0.1:18789)"}),
    (("--token",), {"help": "the shared token; visible to other users, see below"}),
    (("--token-file",), {"metavar": "FILE", "help": "a file that holds the shared token"}),
    (("--password",), {"help": "the shared password; visible to other users, see below"}),
    (("--session",), {"metavar": "KEY", "help": f"the session key (default: {DEFAULT_SESSION})"}),
    (("--json",), {"action": "store_true", "help": "one JSON object per line on stdout, nothing else there"}),
    (("--embedded",), {"action": "store_true", "help": "start an echoing gateway for this one command"}),
    (
        ("--timeout",),
        {"type": _seconds, "metavar": "SECONDS", "help": "wait so long for an answer, or for a whole run"},
    ),
    (("--scopes",), {"type": _names, "metavar": "NAMES", "help": "scopes to ask for, such as read,write,admin"}),
    (("--no-device",), {"action": "store_true", "help": "connect without a device identity"}),
    (("--identity",), {"metavar": "FILE", "help": "the file of the device identity, made if there is none"}),
    (
        ("--tls-fingerprint",),
        {"metavar": "SHA256", "help": "trust the certificate with this fingerprint only (`pin` shows it)"},
    ),
    (("--ca-file",), {"metavar": "FILE", "help": "also trust the authorities of this PEM file"}),
    (
        ("--header",),
        {
            "action": "append",
            "metavar": "LINE",
            "help": '"NAME: VALUE" for a proxy in front of the gateway, or @FILE with such lines; repeatable',
        },
    ),
    (("-v", "--verbose"), {"action": "count", "help": "log to stderr; -vv logs more and shows tracebacks"}),
]


def _add_common(parser: argparse.ArgumentParser, *, shown: bool, headers: str) -> None:
    group = parser.add_argument_group("common options, before or after the command")
    for names, arguments in _COMMON:
        more = {"dest": headers} if names == ("--header",) else {}
        group.add_argument(*names, **{**arguments, **more, **({} if shown else {"help": argparse.SUPPRESS})})
