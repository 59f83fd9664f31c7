"""The pages of docs/ as programs: blocks that begin with a file's name, and the commands that start them."""

from __future__ import annotations

import re
import shlex

from tests.hosts.conftest import Host
from tests.test_docs import ROOT


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


def write_files(host: Host, page: str) -> None:
    """Write every block whose first line is `# a/file.py` into the host's folder."""
    for block in blocks(page):
        name = re.match(r"# (\S+\.py)\n", block)
        assert name is not None, block
        host.write(name[1], block)


def command(page: str) -> list[str]:
    """The page's command, as arguments for `python -m`."""
    [console] = blocks(page, "console")
    return shlex.split(console.removeprefix("$ "))
