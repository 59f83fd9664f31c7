"""docs/notebooks.md in a real kernel, and a kernel that is interrupted."""

from __future__ import annotations

import json

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.hosts.conftest import Host
from tests.hosts.pages import blocks

RUNNER = """
import json
import sys

import nbformat
from nbclient import NotebookClient

cells = json.load(open(sys.argv[1]))
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
runner = NotebookClient(
    book,
    # The kernel is interrupted in a cell that would wait for ever.
    timeout_func=lambda cell: 3 if "gated" in cell.source else 60,
    interrupt_on_timeout=True,
    allow_errors=True,
    extra_arguments=["--log-level=ERROR"],
)
runner.execute()


def said(output):
    if output.output_type == "error":
        return output.ename
    return output.text if output.output_type == "stream" else output.data["text/plain"]


print(json.dumps(["".join(map(said, cell.outputs)) for cell in book.cells]))
"""


def run(host: Host, cells: list[str]) -> list[str]:
    """What the cells of a notebook say, one after the other."""
    given = host.write("cells.json", json.dumps(cells))
    # Kernels write to their home, and look for a terminal's settings.
    host.environment |= {"IPYTHONDIR": str(host.folder / "ipython"), "JUPYTER_PLATFORM_DIRS": "1"}
    said: list[str] = json.loads(host.run("-W", "ignore", str(host.write("runner.py", RUNNER)), str(given)))
    return said


def test_the_page(host: Host, gateway: BlockingEmbeddedGateway) -> None:
    assert run(host, blocks("notebooks.md")) == [
        "echo: Hello\n",
        "echo: Tell me more",
        "AbortResult(aborted=False, run_ids=())",
        "echo: Hello again\n",
        "[('user', 'Hello again'), ('assistant', 'echo: Hello again')]",
        "",
    ]
    assert gateway.open_connections == 0


INTERRUPTED = """
with client.chat_stream(session_key="notebook", message="gated") as run:
    for piece in run.text_stream:
        print(piece, end="")
"""


def test_interrupting_the_kernel_leaves_the_client_connected(host: Host, gateway: BlockingEmbeddedGateway) -> None:
    first, *_ = blocks("notebooks.md")
    abort = blocks("notebooks.md")[2]
    after = 'print(client.connected, client.chat_send(session_key="other", message="still here").text)'
    said = run(host, [first, INTERRUPTED, abort, after])
    assert said[0] == "echo: Hello\n"
    assert said[1].startswith("echo: ")
    assert said[1].endswith("KeyboardInterrupt")
    assert "aborted=True" in said[2]
    assert said[3] == "True echo: still here\n"
