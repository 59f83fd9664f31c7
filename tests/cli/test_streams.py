"""What is piped in, what is closed, and bytes of another encoding."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import Program

UTF8 = {"LC_ALL": "C.UTF-8"}


def shell(program: Program, line: str) -> subprocess.CompletedProcess[bytes]:
    """A line of a shell with the program as `$P`."""
    command = f'P() {{ {shlex.quote(sys.executable)} -m openclaw_client "$@"; }}\n{line}'
    environment = {**program.environ(), **UTF8}
    return subprocess.run(["sh", "-c", command], capture_output=True, env=environment, timeout=60, check=False)


def test_what_is_piped_in_follows_the_message(program: Program) -> None:
    assert program.run("chat", "summarise", given="one\ntwo\n").out == "echo: summarise\n\none\ntwo\n"


def test_a_file_as_stdin_follows_the_message(program: Program, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("in the file\n")
    ran = shell(program, f"P chat summarise < {tmp_path / 'f'}")
    assert (ran.stdout, ran.returncode) == (b"echo: summarise\n\nin the file\n", 0)


@pytest.mark.parametrize("given", ["", "\n"])
def test_nothing_piped_in_leaves_the_message_as_it_is(program: Program, given: str) -> None:
    assert program.run("chat", "Hello", given=given).out == "echo: Hello\n"


def test_a_pipe_that_stays_open_is_told(program: Program) -> None:
    with program.start("chat", "Hello", stdin=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "[waiting for the end of stdin; `< /dev/null` leaves it out]\n"
        assert process.communicate("more")[0] == "echo: Hello\n\nmore\n"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("P chat hi >&-", 2, "stdout is closed"),
        ("P chat hi --json >&-", 2, "stdout is closed"),
        ("P gateway >&-", 2, "stdout is closed"),
        ("P history <&- >&-", 2, "stdout is closed"),
        ("P chat <&-", 2, "stdin is closed"),
        ("P chat - <&-", 2, "stdin is closed"),
        ("P inject - <&-", 2, "stdin is closed"),
        ("P call health - <&-", 2, "stdin is closed"),
        ("P chat hi >/dev/full", 1, "No space left on device"),
        ("P history --json >/dev/full", 1, "No space left on device"),
    ],
)
def test_a_stream_that_is_closed_or_full_is_told_in_one_sentence(
    program: Program, line: str, code: int, said: str
) -> None:
    ran = shell(program, line)
    err = ran.stderr.decode()
    assert (ran.returncode, ran.stdout) == (code, b"")
    assert said in err
    assert err.startswith("openclaw-client: ")
    assert err.count("\n") == 1


def test_what_needs_no_stdin_works_without_one(program: Program) -> None:
    assert shell(program, "P chat hi <&-").stdout == b"echo: hi\n"


def test_a_closed_stderr_never_puts_errors_on_stdout(alone: Program) -> None:
    ran = shell(alone, "P chat hi --url ws://127.0.0.1:1 2>&-")
    assert (ran.returncode, ran.stdout) == (3, b"")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("chat $'caf\\351'", r"MESSAGE is no text in utf-8, the encoding of the locale: 'caf\xe9'"),
        ("chat hi --session $'\\351'", r"--session is no text in utf-8, the encoding of the locale: '\xe9'"),
        ("inject hi --label $'\\351'", r"--label is no text in utf-8, the encoding of the locale: '\xe9'"),
        ("call $'\\351'", r"METHOD is no text in utf-8, the encoding of the locale: '\xe9'"),
        ("chat hi --token $'secret\\351'", "--token is no text in utf-8, the encoding of the locale; see"),
    ],
)
def test_an_argument_in_another_encoding_is_named(program: Program, arguments: str, named: str) -> None:
    # $'…' is none of every sh's.
    ran = shell(program, f"P {arguments.replace('$', '').replace(chr(39), '')}".replace("\\351", "$(printf '\\351')"))
    assert ran.returncode == 2
    assert named in ran.stderr.decode()
    assert b"secret" not in ran.stderr


def test_a_file_with_a_name_in_another_encoding_can_be_read(program: Program, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(name)).write_text("the content")
    ran = shell(program, f'for f in {shlex.quote(str(tmp_path))}/caf*; do P chat - < "$f"; done')
    assert ran.stdout == b"echo: the content\n"
    ran = shell(program, "P chat hi --token-file \"$(printf 'no\\351')\"")
    assert (ran.returncode, rb"the token file no\udce9 cannot be read" in ran.stderr) == (2, True)


def test_stdin_in_another_encoding_is_told_with_the_way_out(program: Program) -> None:
    ran = shell(program, "printf 'caf\\351' | P chat -")
    assert ran.returncode == 2
    assert b"stdin is not text in utf-8" in ran.stderr
    assert b"iconv -f latin1" in ran.stderr
    assert shell(program, "printf 'caf\\351' | iconv -f latin1 -t utf-8 | P chat -").stdout.decode() == "echo: café\n"


def test_the_program_leaves_no_socket_where_a_stream_was_closed(
    program: Program, gateway: BlockingEmbeddedGateway
) -> None:
    script = (
        "import os, sys\n"
        "from openclaw_client.cli import main\n"
        "code = main(['history'])\n"
        "links = [os.readlink(f'/proc/self/fd/{fd}') for fd in range(3)]\n"
        "sys.exit(code or any('socket' in link for link in links))"
    )
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} <&- 2>&-"
    assert shell(program, line).returncode == 0
