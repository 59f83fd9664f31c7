"""A child process with a process group of its own, none of which outlives this process.

Knows signals and waiting. Does not know what it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

POLL = 0.02
"""Seconds between two looks at a process that is to end; only Linux could wait with a limit and not reap it."""

_GUARD = 'read -r _; kill -s KILL -- "-$1"'
"""Kills the group when its standard input ends: that is when this process does, by SIGKILL included."""


class GroupProcess:
    """Started by its constructor; its standard output and error are appended to `log`."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._leader = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self._guard = subprocess.Popen(
                ("/bin/sh", "-c", _GUARD, "guard", str(self.pid)), stdin=subprocess.PIPE, start_new_session=True
            )
        except BaseException:
            self._end_group()
            raise

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        return self._leader.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended. Its children may live on until `kill()`."""
        if self._leader.returncode is not None:
            return False
        # Not reaped before the group is killed: until then nobody else can get this id.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def terminate(self, timeout: float) -> int:
        """SIGTERM to the process alone, then, when it ended or `timeout` seconds are over, as `kill()`."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while self.running and time.monotonic() < deadline:
            time.sleep(POLL)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL for whatever is left of the group; returns the exit code, that of a signal negative."""
        code = self._end_group()
        self._guard.kill()
        self._guard.communicate()
        return code

    def _end_group(self) -> int:
        if self._leader.returncode is None:
            # macOS refuses to signal a group whose only member is a zombie
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        return self._leader.wait()
