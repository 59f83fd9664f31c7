"""How the program ends: exit codes, errors, signals, pipes."""

from __future__ import annotations

import shlex
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import openclaw_client
from openclaw_client import GatewayClient, errors
from openclaw_client.cli import main
from openclaw_client.cli.converse import _abort, converse
from openclaw_client.cli.exit_codes import MEANINGS, ExitCode, exit_code
from openclaw_client.cli.parser import parse
from openclaw_client.cli.received import by_id
from openclaw_client.cli.report import advice
from openclaw_client.cli.view import JsonRunView, PlainRunView
from openclaw_client.errors import GatewayError
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import TOKEN, Program, finish, held, read_until
from tests.waiting import wait_until

DOCUMENT = Path(openclaw_client.__file__).parents[2] / "docs" / "cli.md"

EXPECTED = {
    "GatewayError": 1,
    "UsageError": 2,
    "NotConnected": 2,
    "IdentityError": 4,
    "ConnectError": 3,
    "Unreachable": 3,
    "HandshakeTimeout": 7,
    "ProtocolMismatch": 6,
    "AuthRejected": 4,
    "RateLimited": 4,
    "PairingRequired": 5,
    "MethodUnavailable": 1,
    "FileGone": 1,
    "FileTooLarge": 1,
    "MissingScope": 4,
    "TlsPinMismatch": 3,
    "ConnectionLost": 3,
    "ClientClosed": 3,
    "OutcomeUnknown": 3,
    "ProtocolViolation": 6,
    "RequestError": 1,
    "RequestFailed": 1,
    "RequestTimeout": 7,
    "PayloadTooLarge": 2,
    "RunError": 9,
    "RunFailed": 9,
    "RunTimeout": 7,
    "RunLost": 9,
    "RunUnknown": 9,
    "JournalError": 1,
    "ManagerError": 1,
}


def kinds(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(each for sub in kind.__subclasses__() for each in kinds(sub))]


def test_every_error_has_its_exit_code() -> None:
    assert {kind.__name__: int(exit_code(kind())) for kind in kinds(GatewayError)} == EXPECTED


def test_the_document_has_every_exit_code() -> None:
    rows = [row.split("|") for row in DOCUMENT.read_text(encoding="utf-8").splitlines() if row.startswith("| ")]
    told = {int(row[1]): row[2].strip() for row in rows if row[1].strip().isdecimal()}
    assert told == {int(code): meaning for code, meaning in MEANINGS.items()}


def wrong_token(program: Program, gateway: BlockingEmbeddedGateway) -> tuple[str, ...]:
    program.environment["OPENCLAW_GATEWAY_TOKEN"] = "canary-wrong"
    return ("chat", "hi")


def closed_port(program: Program, gateway: BlockingEmbeddedGateway) -> tuple[str, ...]:
    gateway.stop()
    return ("chat", "hi")


def mismatch(program: Program, gateway: BlockingEmbeddedGateway) -> tuple[str, ...]:
    gateway.faults.refuse("protocol mismatch", details={"expectedProtocol": 9}, close_code=1002, times=9)
    return ("chat", "hi")


def pairing(program: Program, gateway: BlockingEmbeddedGateway) -> tuple[str, ...]:
    details = {"code": "PAIRING_REQUIRED", "requestId": "req-1", "reason": "not-paired"}
    gateway.faults.refuse("pairing required", code="NOT_PAIRED", details=details, times=9)
    return ("chat", "hi")


Situation = Callable[[Program, BlockingEmbeddedGateway], tuple[str, ...]]
SITUATIONS: list[tuple[ExitCode, str, Situation]] = [
    (ExitCode.FAILED, "RequestFailed", lambda *_: ("call", "chat.history", "{}")),
    (ExitCode.FAILED, "MethodUnavailable", lambda *_: ("call", "session.list")),
    (ExitCode.USAGE, "UsageError", lambda *_: ("chat", " ")),
    # What a script gives whose variable is unset: not the main session, and not this machine's gateway.
    (ExitCode.USAGE, "UsageError", lambda *_: ("chat", "hi", "--session", "")),
    (ExitCode.USAGE, "UsageError", lambda *_: ("chat", "hi", "--url", "")),
    (ExitCode.USAGE, "UsageError", lambda *_: ("call", "status", "[1]")),
    (ExitCode.USAGE, "UsageError", lambda *_: ("call", "status", "{")),
    (ExitCode.USAGE, "UsageError", lambda *_: ("history", "--limit", "0")),
    (ExitCode.USAGE, "UsageError", lambda *_: ("chat", "hi", "--url", "http://example.org")),
    (ExitCode.USAGE, "UsageError", lambda *_: ("chat", "hi", "--token-file", "/nonexistent/token")),
    (ExitCode.UNREACHABLE, "Unreachable", closed_port),
    (ExitCode.AUTH, "AuthRejected", wrong_token),
    (ExitCode.AUTH, "MissingScope", lambda *_: ("inject", "x", "--scopes", "read,write")),
    (ExitCode.PAIRING, "PairingRequired", pairing),
    (ExitCode.PROTOCOL, "ProtocolMismatch", mismatch),
    (ExitCode.TIMEOUT, "RunTimeout", lambda *_: ("chat", "endless", "--timeout", "1")),
    (ExitCode.TIMEOUT, "RunTimeout", lambda *_: ("doctor", "--chat", "endless", "--timeout", "1")),
    (ExitCode.RUN_FAILED, "RunFailed", lambda *_: ("chat", "fail")),
]


@pytest.mark.parametrize(("code", "error", "situation"), SITUATIONS)
def test_an_error_is_one_line_and_a_code(
    program: Program, gateway: BlockingEmbeddedGateway, code: ExitCode, error: str, situation: Situation
) -> None:
    ran = program.run(*situation(program, gateway), "--json")
    assert ran.code == code, ran.err
    assert ran.err.startswith("openclaw-client: ")
    assert ran.err.count("\n") == 1, ran.err
    last = ran.objects[-1]
    assert (last["type"], last["error"], last["exit_code"]) == ("error", error, code)
    assert ran.err == f"openclaw-client: {last['message']}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "COMMAND"),
        (("dance",), "dance"),
        (("chat", "two", "words"), "unrecognized arguments: words"),
        (("history", "--no-such"), "unrecognized arguments: --no-such"),
        (("chat", "hi", "--token", "a", "--token-file", "b"), "exclude each other"),
        (("chat", "hi", "--no-device", "--identity", "f"), "exclude each other"),
        (("chat", "hi", "--embedded", "--url", "ws://127.0.0.1:1"), "leave --url out"),
        (("gateway", "--embedded"), "does not connect"),
        (("tools",), "ACTION"),
        (("tools", "dance"), "dance"),
        (("tools", "serve"), "MODULE[:NAME]"),
        (("tools", "list", "--approve"), "unrecognized arguments: --approve"),
        (("doctor", "--ca-file", "a", "--tls-fingerprint", "b"), "exclude each other"),
        (("doctor", "--embedded", "--ca-file", "a"), "leave --ca-file out"),
        (("gateway", "--url", "ws://127.0.0.1:1"), "does not connect"),
        (("gateway", "--port", "65536"), "no port"),
        (("chat", "hi", "--timeout", "0"), "no time in seconds"),
        (("chat", "hi", "--timeout", "soon"), "no time in seconds"),
        (("chat", "hi", "--timeout", "nan"), "no time in seconds"),
        (("chat", "hi", "--scopes", ","), "no name given"),
    ],
)
def test_an_unusable_command_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert err.startswith("openclaw-client: ")
    assert complaint in err
    assert err.count("\n") == 1


def test_what_the_command_line_says() -> None:
    options = parse(["--session", "s", "-v", "call", "m", '{"a": 1}', "--scopes", "read, write", "--timeout", "2.5"])
    assert (options.command, options.method, options.params) == ("call", "m", '{"a": 1}')
    assert (options.session, options.scopes, options.timeout, options.verbose) == ("s", ["read", "write"], 2.5, 1)
    options = parse(["tools", "--json", "call", "m:n", "{}"])
    assert (options.command, options.action, options.module, options.params) == ("tools", "call", "m:n", "{}")
    assert options.json
    options = parse(["--header", "A: 1", "tools", "--header", "B: 2", "list", "--header", "C: 3", "--session", "s"])
    assert (options.headers, options.session) == (["A: 1", "B: 2", "C: 3"], "s")
    assert parse(["chat"]).session_key == "main"
    assert parse(["events", "a", "b"]).names == ["a", "b"]
    assert parse(["events"]).names == []


def test_a_command_that_is_proposed_can_be_pasted() -> None:
    options = parse(["chat", "hi", "--session", "o'hara; date"])
    proposed = advice(errors.RunTimeout(run_id="r1"), options).split("`")[1]
    assert shlex.split(proposed) == ["openclaw-client", "abort", "--run", "r1", "--session", "o'hara; date"]


def test_no_options_object_shows_a_secret() -> None:
    assert "s3cret" not in repr(parse(["chat", "--token", "s3cret", "--password", "s3cret"]))


def test_a_message_that_found_the_session_busy_was_not_sent(
    program: Program, gateway: BlockingEmbeddedGateway, other: GatewayClient
) -> None:
    with held(other, gateway, "endless"):
        ran = program.run("chat", "mine", "--timeout", "1")
    assert (ran.code, ran.out) == (ExitCode.TIMEOUT, "")
    assert "the message was not sent" in ran.err
    assert "more time with --timeout, or stop it with `openclaw-client abort`" in ran.err
    assert gateway.seen.requests["chat.send"] == 1


def test_ctrl_c_while_another_run_goes_on_takes_the_message_back(
    program: Program, gateway: BlockingEmbeddedGateway, other: GatewayClient
) -> None:
    with held(other, gateway, "endless"), program.start("chat", "--json", "mine") as process:
        # Each of the two asked once whether the session is busy.
        wait_until(lambda: gateway.seen.requests["chat.history"] == 2)
        process.send_signal(signal.SIGINT)
        out, err = finish(process)
        assert (process.returncode, out, err) == (ExitCode.INTERRUPTED, "", "")
        assert gateway.seen.requests["chat.send"] == 1
        assert len(gateway.active_runs) == 1


def test_ctrl_c_aborts_the_run(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("chat", "--json", "endless") as process:
        read_until(process, "text_appended")
        process.send_signal(signal.SIGINT)
        reply = read_until(process, "reply")[-1]
        rest, err = finish(process)
    assert (reply["state"], reply["text"]) == ("aborted", "working")
    assert (process.returncode, rest, err) == (ExitCode.ABORTED, "", "")
    assert gateway.active_runs == []


def test_ctrl_c_in_a_pipe_keeps_the_partial_text(program: Program) -> None:
    with program.start("chat", "endless") as process:
        assert process.stdout is not None
        text = process.stdout.read(len("working"))
        process.send_signal(signal.SIGINT)
        rest, err = finish(process)
    assert (text + rest, err, process.returncode) == ("working\n", "[aborted]\n", ExitCode.ABORTED)


def test_a_second_ctrl_c_leaves_a_gateway_that_does_not_answer(
    program: Program, gateway: BlockingEmbeddedGateway
) -> None:
    gateway.faults.swallow("chat.abort")
    with program.start("chat", "-v", "endless") as process:
        assert process.stdout is not None
        process.stdout.read(len("working"))
        process.send_signal(signal.SIGINT)
        wait_until(lambda: not gateway.faults.outstanding)
        process.send_signal(signal.SIGINT)
        _, err = finish(process)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in err


def test_an_abort_that_the_end_of_the_program_cuts_off_is_no_news(
    gateway: BlockingEmbeddedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.faults.swallow("chat.abort")
    view = PlainRunView(terminal=True)
    with GatewayClient(gateway.url, token=TOKEN, identity=False) as client:
        run = client.chat_stream(session_key="main", message="endless")
        next(run)
        aborting = threading.Thread(target=_abort, args=(run, view))
        aborting.start()
        wait_until(lambda: not gateway.faults.outstanding)
        client.disconnect()
        aborting.join()
    told = "".join(capsys.readouterr())
    assert "stopping the run" in told
    assert "could not be aborted" not in told


def test_ctrl_c_while_connecting(alone: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        alone.environment["OPENCLAW_GATEWAY_URL"] = f"ws://127.0.0.1:{server.getsockname()[1]}"
        with alone.start("chat", "hi") as process, server.accept()[0] as connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            out, err = finish(process)
    assert (process.returncode, out, err) == (ExitCode.INTERRUPTED, "", "")


def test_a_gateway_that_stays_away_is_not_waited_for_for_ever(gateway: BlockingEmbeddedGateway) -> None:
    with GatewayClient(gateway.url, token=TOKEN, identity=False) as client:
        crash = threading.Timer(0, gateway.crash)
        view = JsonRunView()
        client.on("chat", lambda event: crash.start() if event.payload.get("state") == "delta" else None)
        with pytest.raises(errors.Unreachable) as lost:
            converse(client, "main", "endless", view, way=by_id, away_timeout=0.2)
        crash.join()
    assert exit_code(lost.value) == ExitCode.UNREACHABLE
    assert "the run may go on" in str(lost.value)
    assert "`openclaw-client history --session main`" in str(lost.value)


def test_a_gateway_that_comes_back_goes_on(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    with program.start("chat", "gated", "--json") as process:
        read_until(process, "text_appended")
        gateway.faults.disconnect()
        read_until(process, "resumed")
        gateway.release()
        reply = read_until(process, "reply")[-1]
        rest, err = finish(process)
    assert (reply["text"], rest, err) == ("before the gate, behind the gate", "", "")


@pytest.mark.parametrize("arguments", [("call", "status"), ("chat", "hi"), ("chat", "hi", "--json"), ("history",)])
def test_a_reader_that_leaves_is_no_error_to_talk_about(program: Program, arguments: tuple[str, ...]) -> None:
    program.run("chat", "hello")
    with program.start(*arguments) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert (process.returncode, err) == (ExitCode.BROKEN_PIPE, "")


@pytest.mark.parametrize("verbose", ["-v", "-vv"])
def test_no_secret_is_ever_printed(program: Program, tmp_path: Path, verbose: str) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    ran = [
        program.run("chat", "hi", verbose),
        program.run("chat", "hi", verbose, "--json", "--token", TOKEN),
        program.run("call", "chat.history", "{}", verbose, "--token-file", str(file)),
        program.run("chat", "hi", verbose, "--json", "--token", f"{TOKEN}-wrong", "--no-device"),
        program.run("chat", "hi", verbose, "--url", f"ws://user:{TOKEN}@127.0.0.1:1/?token={TOKEN}"),
    ]
    assert [each.code for each in ran][:4] == [0, 0, 1, 4]
    assert ran[4].code != 0
    tokens = next(program.home.rglob("*.tokens.json")).read_text(encoding="utf-8")
    keys = next(path for path in program.home.rglob("*.json") if "tokens" not in path.name).read_text(encoding="utf-8")
    secrets = [TOKEN, *_strings(tokens, "token"), *_strings(keys, "privateKey")]
    assert len(secrets) >= 3
    for each in ran:
        for secret in secrets:
            assert secret not in each.out + each.err


@pytest.mark.parametrize("options", [(), ("-v",), ("-vv",), ("--json",), ("--json", "-vv")])
def test_a_refusal_steers_no_terminal(
    program: Program, gateway: BlockingEmbeddedGateway, options: tuple[str, ...]
) -> None:
    steering = "\x1b]52;c;aGk=\x07\x1b]0;title\x07\x1b[2J\x9b2J\u202e\r\nforged"
    gateway.faults.refuse(f"no {steering}", code="NOT_TODAY", details={"reason": steering}, close_code=1008, times=9)
    ran = program.run("history", *options)
    assert "no ]52;c;aGk=]0;title[2J2J forged" in ran.err
    for shown in (ran.out, ran.err):
        assert not set(shown) & set("\x1b\x07\x9b\u202e\r")
    assert not any(line.startswith("forged") for line in ran.err.splitlines())


def test_tracebacks_come_when_asked_for_twice(program: Program) -> None:
    assert "Traceback" not in program.run("call", "chat.history", "{}", "-v").err
    assert "Traceback" in program.run("call", "chat.history", "{}", "-vv").err


def test_a_missing_token_is_told_with_where_it_is_found(program: Program) -> None:
    del program.environment["OPENCLAW_GATEWAY_TOKEN"]
    ran = program.run("chat", "hi")
    assert ran.code == ExitCode.AUTH
    for told in ("Set OPENCLAW_GATEWAY_TOKEN", "`openclaw gateway auth-token --show`", "~/.openclaw/openclaw.json"):
        assert told in ran.err


def test_a_token_that_was_not_sent_is_explained(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    del program.environment["OPENCLAW_GATEWAY_URL"]
    ran = program.run("chat", "hi", "--url", gateway.url)
    assert ran.code == ExitCode.AUTH
    assert "auth-token" not in ran.err
    assert "OPENCLAW_GATEWAY_TOKEN goes with OPENCLAW_GATEWAY_URL only" in ran.err


def _strings(text: str, key: str) -> list[str]:
    import re

    return re.findall(rf'"{key}":\s*"([^"]+)"', text)


@pytest.mark.parametrize("verbose", ["-v", "-vv"])
def test_who_read_stderr_has_gone_and_the_command_goes_on(program: Program, verbose: str) -> None:
    with program.start("chat", "hi", verbose) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.stdout is not None
        out = process.stdout.read()
    assert (process.returncode, out) == (0, "echo: hi\n")
