"""The command line, `openclaw-client`: one file per command, over the blocking client.

Knows arguments, terminals and exit codes. Refuses to know frames: whatever it does, a program can do with
`GatewayClient`, whose values it shows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fill_descriptors, prepare_streams
from openclaw_client.cli.parser import COMMANDS, parse
from openclaw_client.cli.report import complain, report, report_crash, set_up_logging
from openclaw_client.errors import GatewayError

__all__ = ["main"]


_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What stdout says where nothing more can be written."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see `ExitCode`). SystemExit for --help, --version and unusable arguments.

    argv: without the program's name; None takes the process's own. For the main thread.
    """
    fill_descriptors()
    options = parse(argv)
    if sys.stdout is None:
        complain("stdout is closed, and nothing was sent; `> /dev/null` drops the output")
        return ExitCode.USAGE
    prepare_streams(json=options.json)
    set_up_logging(options.verbose)
    try:
        code = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return ExitCode.BROKEN_PIPE
    except OSError as error:
        # A full disk: what was written last is still held, and the interpreter would try once more.
        _forget_stdout()
        complain(f"stdout cannot be written: {error.strerror or error}")
        return ExitCode.FAILED
    return code


def _run(options: Options) -> int:
    try:
        return COMMANDS[options.command].run(options)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in _UNWRITABLE:
            raise
        return report_crash(error, options)
    except GatewayError as error:
        return report(error, options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the person gets a sentence and the script a code
        return report_crash(error, options)


def _forget_stdout() -> None:
    """Keep the interpreter's last flush from complaining about the reader that has gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
