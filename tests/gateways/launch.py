"""Starts and ends real gateways on loopback, each with a state folder of its own.

Knows processes: how to start one, when it is ready, how to end it and everything it started. Refuses to know what tests
do with it. Blocking; one thread at a time for each gateway.

    python -m tests.gateways.launch [VERSION]       # one gateway by hand, until Ctrl-C
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self

from .config import Auth, config_path, configuration, environment
from .install import RELEASES, InstallFailed, cache_folder, entry_point, install, is_installed, node_binary
from .model import StubModel
from .ports import ReservedPort
from .raw import RawClient, RawDevice, is_reachable

READY_TIMEOUT = 240.0
"""Seconds. The slowest release was ready after 30 s on two busy cores; several start at once on slower machines."""

WARM_UP_TIMEOUT = 240.0
"""Seconds. The first turn with cold caches took up to 100 s."""

STOP_TIMEOUT = 30.0
"""Seconds from SIGTERM to SIGKILL. An idle gateway needs 5; one that drains a run takes as long as the run does."""

READY_POLL = 0.1
"""Seconds between two tries to connect: a fiftieth of the quickest start."""

_GUARD = "read -r _; kill -KILL -- -$1"
"""Kills the gateway's process group when its standard input ends, which is when this process does, however it ends."""


class GatewayFailed(Exception):
    """A gateway ended or did not become ready; the message ends with the end of its log."""


class RealGateway:
    """One gateway process of one release, with its home folder and its port.

    with RealGateway("2026.9.6", model_url=model.url) as gateway:     # started and ready
        gateway.url, gateway.token

    The folder and the port stay the same over `stop()`, `kill()` and `start()`, so paired devices, sessions and
    histories survive a restart. `close()` removes the folder. `config` is merged into the configuration file.
    """

    def __init__(
        self,
        version: str,
        *,
        model_url: str,
        auth: Auth = "token",
        token: str | None = None,
        password: str | None = None,
        config: Mapping[str, Any] | None = None,
        state_dir: Path | None = None,
    ) -> None:
        if not is_installed(version):
            raise GatewayFailed(
                f"openclaw {version} is not installed in {cache_folder()}; "
                f"run: python -m tests.gateways.install {version}"
            )
        self.version = version
        self.auth: Auth = auth
        self.token = (token or secrets.token_hex(16)) if auth == "token" else None
        self.password = (password or secrets.token_hex(16)) if auth == "password" else None
        self._own_home = state_dir is None
        self.home = Path(tempfile.mkdtemp(prefix=f"openclaw-{version}-")) if state_dir is None else state_dir
        self._reserved = ReservedPort()
        self._device = RawDevice()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._configure(model_url, config or {})
        _open_gateways.add(self)

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RealGateway {self.version} on {self.url}, {'running' if self.running else 'stopped'}>"

    @property
    def port(self) -> int:
        """The port, the same for the life of this object."""
        return self._reserved.number

    @property
    def url(self) -> str:
        """The WebSocket address."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the gateway's process, which is also that of its process group. Raises `GatewayFailed` when stopped."""
        if self._process is None:
            raise GatewayFailed(f"openclaw {self.version} is not running; call start() first")
        return self._process.pid

    def start(self) -> None:
        """Start the process; returns at once. Does nothing when it runs already."""
        if self.running:
            return
        if self._closed:
            raise GatewayFailed(f"openclaw {self.version} is closed, its folder is gone; make a new RealGateway")
        command = (str(node_binary()), str(entry_point(self.version)), "gateway", "--port", str(self.port))
        env = environment(self.version, self.home, cache_folder() / "compiled")
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.home, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._guard = subprocess.Popen(
            ("/bin/sh", "-c", _GUARD, "guard", str(self.pid)), stdin=subprocess.PIPE, start_new_session=True
        )

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Wait until a client gets hello-ok. Raises `GatewayFailed` when the process ends or the time is over."""
        deadline = time.monotonic() + timeout
        while not is_reachable(self.client(device=None)):
            if not self.running:
                raise GatewayFailed(f"openclaw {self.version} ended with {self._exit_code()}.\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise GatewayFailed(f"openclaw {self.version} not ready after {timeout:.0f} s.\n{self.log_tail()}")
            time.sleep(READY_POLL)

    def warm_up(self, timeout: float = WARM_UP_TIMEOUT) -> None:
        """Take one turn in a session of its own, so that the turns after it are quick. Needs a `StubModel`.

        Raises `GatewayFailed` when there is no answer within `timeout` seconds.
        """
        with self.client() as client:
            try:
                run = client.chat("warm-up", "stub:echo warm-up", timeout=timeout)
            except TimeoutError:
                raise GatewayFailed(
                    f"openclaw {self.version} gave no answer within {timeout:.0f} s.\n{self.log_tail()}"
                ) from None
        if run.text != "echo: warm-up":
            raise GatewayFailed(f"openclaw {self.version} answered {run.text!r} ({run.state}).\n{self.log_tail()}")

    def client(self, **options: Any) -> RawClient:
        """A raw client with this gateway's credentials, not connected yet; see `RawClient` for the options.

        All clients of a gateway share one device, which is paired on its first use.
        """
        return RawClient(**{"url": self.url, "token": self.token, "password": self.password, "device": self._device, **options})

    def stop(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """SIGTERM, wait, and after `timeout` seconds SIGKILL; returns the exit code, None when it was not started.

        A negative code is the signal that ended it, as `subprocess` has it.
        """
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process_or_fail().wait(timeout)
        return self.kill()

    def kill(self) -> int | None:
        """SIGKILL for the whole process group; returns the exit code, None when it was not started."""
        if self._process is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self._dismiss_guard()
        self._process = None
        return code
