"""Which Pythons this machine has, and what the lowest dependencies are: for the make targets that test with them.

python -m tests.pythons              each supported Python of this machine, a line each, the newest last
python -m tests.pythons --newest     the newest one
python -m tests.pythons --lowest     the requirements of the package and its extras, each as low as it may be
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
NEWEST = (3, 20)
"""Looked for so far ahead; what is not there costs nothing."""
ASK = "import sys; print(*sys.version_info[:2], sys.version_info.releaselevel, sys.implementation.name)"


def main() -> int:
    if "--lowest" in sys.argv:
        print("\n".join(lowest()))
        return 0
    found = pythons()
    for path in found[-1:] if "--newest" in sys.argv else found:
        print(path)
    return 0


def pythons() -> list[Path]:
    """One interpreter of each supported version, the newest last. Previews do not count."""
    found: dict[tuple[int, int], Path] = {}
    for path in _candidates():
        version = _version(path)
        if version is not None and version >= OLDEST:
            found.setdefault(version, path)
    return [found[version] for version in sorted(found)]


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable).resolve()
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        where = shutil.which(f"python{OLDEST[0]}.{minor}")
        if where is not None:
            yield Path(where)
    root = os.environ.get("PYENV_ROOT")
    if root:
        yield from sorted(Path(root).glob("versions/3.*/bin/python"), reverse=True)


def _version(path: Path) -> tuple[int, int] | None:
    """Its version; None where it does not run (pyenv leaves names of what is not chosen) or is a preview."""
    try:
        done = subprocess.run([path, "-c", ASK], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    if done.returncode or words[2:] != ["final", "cpython"]:
        return None
    return int(words[0]), int(words[1])


def lowest() -> list[str]:
    """`name==version` for every `name>=version` of the package, its extras that are built on others included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    return [re.sub(r">=([\w.]+)", r"==\1", one) for one in wanted]


if __name__ == "__main__":
    sys.exit(main())
