"""Starts and ends real gateways on loopback, each with a state folder of its own.

Knows when a gateway is ready and what is left of it afterwards: nothing. Refuses to know what tests do with it.

    python -m tests.gateways.launch [VERSION]       # one gateway by hand, until Ctrl-C
"""

from __future__ import annotations

import argparse
import atexit
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .config import Auth, config_path, configuration, environment, link_compile_cache
from .install import RELEASES, InstallFailed, cache_folder, entry_point, install, is_installed, node_binary
from .model import StubModel
from .ports import ReservedPort
from .process import GroupProcess
from .raw import RawClient, RawDevice, is_reachable

READY_TIMEOUT = 240.0
"""Seconds. The slowest release was ready after 30 s on two busy cores; several start at once on slower machines."""

WARM_UP_TIMEOUT = 240.0
"""Seconds. A first turn with cold caches took up to 100 s."""

STOP_TIMEOUT = 30.0
"""Seconds from SIGTERM to SIGKILL. An idle gateway needs 5; newer ones first let their runs end, for minutes."""

READY_POLL = 0.1
"""Seconds between two tries to connect: a fiftieth of the quickest start."""

_open_gateways: weakref.WeakSet[RealGateway] = weakref.WeakSet()


class GatewayFailed(Exception):
    """A gateway ended, did not become ready or did not answer; the message ends with the end of its log."""


class RealGateway:
    """One gateway of one release, with its port and its home folder. Blocking; one thread at a time.

    with RealGateway("2026.9.6", model_url=model.url) as gateway:       # started and ready
        gateway.url, gateway.token

    Port and folder stay the same over `stop()`, `kill()` and `start()`, so devices, sessions and histories survive.
    `config` is merged into the configuration file. `state_dir` is an existing folder to use instead of a temporary
    one; `close()` leaves it in place.
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
                f"openclaw {version} is not in {cache_folder()}; run: python -m tests.gateways.install {version}"
            )
        self.version = version
        self.auth: Auth = auth
        self.token = (token or secrets.token_hex(16)) if auth == "token" else None
        self.password = (password or secrets.token_hex(16)) if auth == "password" else None
        self._model_url = model_url
        self._config = dict(config or {})
        self._keep_home = state_dir is not None
        self._reserved = ReservedPort()
        self.home = state_dir or Path(tempfile.mkdtemp(prefix=f"openclaw-{version}-"))
        self._device = RawDevice()
        self._process: GroupProcess | None = None
        self._closed = False
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
        return f"<RealGateway {self.version} on {self.url}, {'running' if self.running else 'not running'}>"

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
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """The id of the gateway's process and of its process group. Raises `GatewayFailed` when it was not started."""
        if self._process is None:
            raise GatewayFailed(f"openclaw {self.version} is not running; call start() first")
        return self._process.pid

    def start(self) -> None:
        """Start the process unless it runs; returns at once, see `wait_ready`. Not possible after `close()`."""
        if self._closed:
            raise GatewayFailed(f"openclaw {self.version} is closed and its folder gone; make a new RealGateway")
        if self.running:
            return
        self.kill()
        self._prepare_home()
        self._process = GroupProcess(
            (str(node_binary()), str(entry_point(self.version)), "gateway", "--port", str(self.port)),
            cwd=self.home,
            env=environment(self.version, self.home),
            log=self._log,
        )

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Wait until a client gets hello-ok. Raises `GatewayFailed` when the process ends or the time is over."""
        deadline = time.monotonic() + timeout
        while not is_reachable(self.client(device=None)):
            if not self.running:
                raise self._failed(f"ended while starting, with exit code {self.kill()}")
            if time.monotonic() > deadline:
                raise self._failed(f"gave no hello-ok within {timeout:.0f} s")
            time.sleep(READY_POLL)

    def warm_up(self, timeout: float = WARM_UP_TIMEOUT) -> None:
        """Take one turn in a session of its own, so that the turns after it are quick; needs a `StubModel` behind it.

        Raises `GatewayFailed` when the right answer does not come within `timeout` seconds.
        """
        with self.client() as client:
            try:
                run = client.chat("warm-up", "stub:echo warm-up", timeout=timeout)
            except TimeoutError:
                raise self._failed(f"did not answer a message within {timeout:.0f} s") from None
        if run.text != "echo: warm-up":
            raise self._failed(f"answered a message with {run.state} {run.text!r}")

    def client(self, **options: Any) -> RawClient:
        """A raw client with this gateway's credentials, not connected yet; the options are those of `RawClient`.

        The clients of one gateway share a device, which is paired by the first that connects.
        """
        own = {"url": self.url, "token": self.token, "password": self.password, "device": self._device}
        return RawClient(**{**own, **options})

    def stop(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """SIGTERM, and SIGKILL when it has not ended after `timeout` seconds. Returns as `kill` does."""
        if self._process is not None:
            self._process.terminate(timeout)
        return self.kill()

    def kill(self) -> int | None:
        """SIGKILL for the process and its children. Returns the exit code, that of a signal negative; None when it was
        not started.
        """
        if self._process is None:
            return None
        code = self._process.kill()
        self._process = None
        return code

    def restart(self, timeout: float = READY_TIMEOUT) -> None:
        """`stop()`, `start()` and `wait_ready(timeout)`: same port, same state."""
        self.stop()
        self.start()
        self.wait_ready(timeout)

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the gateway printed, in all its starts; without its credential."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        for secret in filter(None, (self.token, self.password)):
            text = text.replace(secret, "<credential>")
        return "\n".join(text.splitlines()[-lines:])

    def close(self) -> None:
        """End everything and remove the temporary folder; harmless when done already."""
        if self._closed:
            return
        self._closed = True
        self.stop()
        self._reserved.release()
        if not self._keep_home:
            # A child process of the newest release lives 0.2 s longer than a killed gateway and may still write.
            shutil.rmtree(self.home, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.home / "gateway.log"

    def _failed(self, what: str) -> GatewayFailed:
        return GatewayFailed(f"openclaw {self.version} {what}. The end of its log:\n{self.log_tail()}")

    def _prepare_home(self) -> None:
        content = configuration(
            self.version,
            home=self.home,
            port=self.port,
            auth=self.auth,
            secret=self.token or self.password or "",
            model_url=self._model_url,
            overrides=self._config,
        )
        for folder in ("state", "workspace"):
            (self.home / folder).mkdir(exist_ok=True)
        link_compile_cache(self.version, self.home)
        config_path(self.home).write_text(json.dumps(content, indent=2))


@atexit.register
def _end_all() -> None:
    """For a test run that ends without its fixtures' teardown: quick, without asking."""
    for gateway in list(_open_gateways):
        gateway.kill()
        gateway.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.gateways.launch", description="Run a gateway until Ctrl-C.")
    parser.add_argument("version", nargs="?", default=RELEASES[-1], metavar="VERSION")
    version: str = parser.parse_args(arguments).version
    # SIGINT too: a shell without job control starts background commands with it ignored
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if not is_installed(version):
            install([version])
        with StubModel() as model, RealGateway(version, model_url=model.url) as gateway:
            print(f"openclaw {version} is ready, process {gateway.pid}, files in {gateway.home}; Ctrl-C ends it")
            print(f"export OPENCLAW_GATEWAY_URL={gateway.url}")
            print(f"export OPENCLAW_GATEWAY_TOKEN={gateway.token}", flush=True)
            while gateway.running:
                time.sleep(1)
            print(gateway.log_tail(), file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        return 0
    except (InstallFailed, GatewayFailed, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
