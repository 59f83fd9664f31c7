"""The command line, `openclaw-client`: one file per command, over the blocking client.

Knows arguments, terminals and exit codes. Refuses to know the wire: whatever it does, a program can do with
`GatewayClient`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import prepare_streams
from openclaw_client.cli.parser import COMMANDS, parse
from openclaw_client.cli.report import report, report_crash, set_up_logging
from openclaw_client.errors import GatewayError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see `ExitCode`). SystemExit for --help, --version and unusable arguments.

    argv: without the program's name; None takes the process's own. For the main thread.
    """
    options = parse(argv)
    prepare_streams(json=options.json)
    set_up_logging(options.verbose)
    try:
        code = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return ExitCode.BROKEN_PIPE
    return code


def _run(options: Options) -> int:
    try:
        return COMMANDS[options.command].run(options)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        raise
    except GatewayError as error:
        return report(error, options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the person gets a sentence and the script a code
        return report_crash(error, options)


def _forget_stdout() -> None:
    """Keep the interpreter's last flush from complaining about the reader that has gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
