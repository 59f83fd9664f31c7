"""What the benchmark needs beside this project: the load server, Node, and two npm packages, in the cache folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.gateways.install import cache_folder, install_node, node_binary

HERE = Path(__file__).parent
PACKAGES = {"@openclaw/gateway-client": "2026.9.1", "openclaw-node": "0.14.0"}
"""The reference client as its latest release has it, and the only other client for Node."""


class Missing(Exception):
    """Something that cannot be installed here; the message says what."""


def build_server() -> Path:
    """The load server, compiled when it is older than its source."""
    target = cache_folder() / "bench" / "server"
    sources = sorted((HERE / "server").glob("*.[ch]"))
    if target.exists() and target.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return target
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise Missing("the load server needs a C compiler (cc, gcc or clang)")
    target.parent.mkdir(parents=True, exist_ok=True)
    files = [str(source) for source in sources if source.suffix == ".c"]
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(target), *files], check=True)
    return target


def install_packages() -> Path:
    """The folder with the Node drivers, the packages beside them."""
    install_node()
    folder = cache_folder() / "bench" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.dumps({"private": True, "type": "module", "dependencies": PACKAGES})
    noted = folder / "package.json"
    if not noted.exists() or noted.read_text() != manifest or not (folder / "node_modules").exists():
        noted.write_text(manifest)
        npm = node_binary().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--omit=dev")
        cache = ("--cache", str(cache_folder() / "npm"))
        path = os.pathsep.join((str(node_binary().parent), os.environ.get("PATH", os.defpath)))
        done = subprocess.run(
            [str(node_binary()), str(npm), "install", *quiet, *cache],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            noted.unlink()
            raise Missing(f"npm could not install the other clients:\n{done.stderr[-1000:]}")
    for driver in (HERE / "drivers").glob("*.mjs"):
        shutil.copy(driver, folder)
    return folder
