"""Takes the measurements: all of a group in every round, in random order, one process each."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.install import HERE, build_server, install_packages
from bench.plan import Measurement
from tests.gateways.install import node_binary
from tests.transport.tls import Certificate

HELLO = HERE / "server" / "hello.json"
LIMIT = 180.0
"""Seconds for one driver. The longest, 5,000 TLS connections, took 60 on two busy cores."""

Results = dict[tuple[str, str, str], list[dict[str, float]]]


class Bench:
    """The servers and the folders of one run."""

    def __init__(self, plain: str, tls: str, certificate: Path, node: Path) -> None:
        self._plain, self._tls, self._certificate, self._node = plain, tls, certificate, node

    def measure(self, measurement: Measurement) -> dict[str, float]:
        """One process; what it reported. Raises RuntimeError with its last words when it failed."""
        sizes = {"what": measurement.what, "face": measurement.face, **measurement.sizes}
        tls = sizes.get("kind") == "tls"
        sizes["url"] = self._tls if tls else self._plain
        if measurement.module.endswith(".mjs"):
            sizes["identity"] = str(self._certificate.parent / "identity.json")
            script = str(self._node / measurement.module)
            command = [str(node_binary()), "--expose-gc", script, json.dumps(sizes)]
        else:
            if tls:
                sizes["certificate"] = str(self._certificate)
            command = [sys.executable, "-m", measurement.module, json.dumps(sizes)]
        # As an installed package has it: one that is compiled at every start takes a megabyte more.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, check=False, cwd=HERE.parent, env=env
        )
        if done.returncode:
            raise RuntimeError(f"{measurement.key}: {done.stderr[-2000:]}")
        facts: dict[str, float] = json.loads(done.stdout)
        return facts


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """Everything that a measurement needs, installed and started."""
    server, node = build_server(), install_packages()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        certificate = Certificate.make(Path(folder), "bench").path
        plain = stack.enter_context(_served([str(server), str(HELLO)]))
        tls = [sys.executable, "-m", "bench.server.tls", str(HELLO), str(certificate), str(certificate)]
        secure = stack.enter_context(_served(tls))
        yield Bench(f"ws://127.0.0.1:{plain}", f"wss://127.0.0.1:{secure}", certificate, node)


@contextlib.contextmanager
def _served(command: list[str]) -> Iterator[int]:
    """A server that prints its port and ends with its standard input."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def run(measurements: list[Measurement]) -> Results:
    """All rounds of all measurements."""
    results: Results = defaultdict(list)
    begun = time.monotonic()
    with bench() as here:
        for number in range(max(measurement.rounds for measurement in measurements)):
            turn = [measurement for measurement in measurements if number < measurement.rounds]
            random.shuffle(turn)
            for measurement in turn:
                results[measurement.key].append(_measure(here, measurement))
            print(f"round {number + 1}: {len(turn)} measurements, {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return results


def _measure(here: Bench, measurement: Measurement) -> dict[str, float]:
    """Once more where a driver did not end: shared machines stand still for minutes, and a run takes half an hour."""
    try:
        return here.measure(measurement)
    except subprocess.TimeoutExpired:
        print(f"{measurement.key} did not end within {LIMIT:.0f} s, and is measured again", file=sys.stderr)
        return here.measure(measurement)


def commit() -> str:
    """What was measured, by the name of its commit."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=, with changes"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown: this is no git checkout"
    return found.stdout.strip()


def machine() -> dict[str, Any]:
    """The facts of this machine that a reader needs to judge the figures."""
    import platform
    from importlib.metadata import version

    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    node = subprocess.run([str(node_binary()), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    packages = ("picows", "msgspec", "uvloop")
    return {
        "commit": commit(),
        "CPU": f"{os.cpu_count()} of {names[0].partition(':')[2].strip() if names else platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Node": node,
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "load": f"{os.getloadavg()[0]:.1f} over the last minute, its own included",
    }
