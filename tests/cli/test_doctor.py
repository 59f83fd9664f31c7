"""`doctor` against whatever may stand at a URL, its whole output compared; and `pin`.

The expected outputs are in tests/cli/doctor, with times, ports and ids masked. UPDATE_SNAPSHOTS=1 writes them anew.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.cli.parser import parse
from openclaw_client.cli.report import advice
from openclaw_client.errors import ConnectError
from openclaw_client.policy.advice import CLOSED, REFUSED, UNREACHED
from openclaw_client.testing import BlockingEmbeddedGateway, EmbeddedGateway
from tests.cli.conftest import PROGRAM, TOKEN, WITHOUT_RICH, Program
from tests.cli.terminal import Terminal
from tests.transport.servers import Serve, hang_up, serving, silent, web
from tests.transport.tls import Certificate

SNAPSHOTS = Path(__file__).parent / "doctor"
MASKS = (
    (r"\b\d+ ms", "# ms"),
    (r" +# ms", "  # ms"),
    (r'"(seconds|last_frame_age|retry_after)": [0-9.e-]+', r'"\1": 0'),
    (r"last frame [0-9.]+ s ago", "last frame # s ago"),
    (r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT"),
    (r"port \d+", "port PORT"),
    (r"TLSv1\.\d", "TLSv1.x"),
    (r"valid until [A-Z][a-z]{2} [ 0-9:]+ GMT", "valid until DATE"),
    (r"cannot be looked up \([^)]*\)", "cannot be looked up (…)"),
    (r"self[- ]signed certificate", "self-signed certificate"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}\b", "UUID"),
    (r"connection [0-9a-f]{8}\b", "connection ID"),
)


@dataclass
class Patient:
    """What doctor is sent to. code: the exit code that is expected, stage: the one that fails."""

    url: str
    code: int
    stage: str | None
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=lambda: {"OPENCLAW_GATEWAY_TOKEN": TOKEN})


Admit = Callable[[ExitStack, Path], Patient]


def gateway(stack: ExitStack, **options: Any) -> BlockingEmbeddedGateway:
    return stack.enter_context(BlockingEmbeddedGateway(token=TOKEN, **options))


def healthy(protocol: int) -> Admit:
    return lambda stack, _: Patient(gateway(stack, protocol=protocol).url, 0, None, ("--chat", "hi"))


def nothing_listening(stack: ExitStack, folder: Path) -> Patient:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return Patient(f"ws://127.0.0.1:{taken.getsockname()[1]}", 3, "tcp")


def unknown_name(stack: ExitStack, folder: Path) -> Patient:
    return Patient("wss://no-such-host.invalid", 3, "dns", environment={"no_proxy": "*"})


def plain(serve: Serve, code: int, stage: str, scheme: str = "ws", *arguments: str) -> Admit:
    def admit(stack: ExitStack, folder: Path) -> Patient:
        return Patient(f"{scheme}://127.0.0.1:{stack.enter_context(serving(serve))}", code, stage, arguments)

    return admit


def unknown_authority(stack: ExitStack, folder: Path) -> Patient:
    context = Certificate.make(folder, "own").context()
    return Patient(f"wss://127.0.0.1:{stack.enter_context(serving(web(), context))}", 3, "tls")


def plain_text_to_tls(stack: ExitStack, folder: Path) -> Patient:
    context = Certificate.make(folder, "own").context()
    return Patient(f"ws://127.0.0.1:{stack.enter_context(serving(web(), context))}", 3, "upgrade")


def wrong_pin(stack: ExitStack, folder: Path) -> Patient:
    context = Certificate.make(folder, "own").context()
    url = f"wss://127.0.0.1:{stack.enter_context(serving(web(), context))}"
    return Patient(url, 3, "tls", ("--tls-fingerprint", "ab" * 32))


def wrong_token(stack: ExitStack, folder: Path) -> Patient:
    return Patient(gateway(stack).url, 4, "connect", environment={"OPENCLAW_GATEWAY_TOKEN": "wrong"})


def no_token(stack: ExitStack, folder: Path) -> Patient:
    return Patient(gateway(stack).url, 4, "connect", environment={})


def version_five(stack: ExitStack, folder: Path) -> Patient:
    inner = EmbeddedGateway(token=TOKEN)
    inner._settings = replace(inner._settings, profile=replace(inner.profile, protocol=5))
    return Patient(stack.enter_context(BlockingEmbeddedGateway.around(inner)).url, 6, "connect")


def pairing(stack: ExitStack, folder: Path) -> Patient:
    return Patient(gateway(stack, auto_approve=False).url, 5, "connect")


def missing_scope(stack: ExitStack, folder: Path) -> Patient:
    return Patient(gateway(stack, auto_approve=False).url, 4, "scopes", ("--no-device",))


def missing_scope_on_v3(stack: ExitStack, folder: Path) -> Patient:
    return Patient(gateway(stack, protocol=3).url, 4, "scopes", ("--no-device",))


def rate_limited(stack: ExitStack, folder: Path) -> Patient:
    made = gateway(stack, max_attempts=1)
    made.faults.refuse(
        "unauthorized: too many failed authentication attempts",
        details={"code": "AUTH_RATE_LIMITED"},
        retryable=True,
        retry_after_ms=240_000,
        times=9,
    )
    return Patient(made.url, 4, "connect")


def silent_gateway(stack: ExitStack, folder: Path) -> Patient:
    made = gateway(stack)
    made.faults.withhold_challenge(times=9)
    return Patient(made.url, 7, "challenge", ("--timeout", "1"))


def proxy_that_refuses(stack: ExitStack, folder: Path) -> Patient:
    proxy = stack.enter_context(serving(web("HTTP/1.1 403 Forbidden")))
    return Patient(
        "wss://gateway.example", 3, "proxy", environment={"https_proxy": f"http://127.0.0.1:{proxy}", "no_proxy": ""}
    )


def failing_model(stack: ExitStack, folder: Path) -> Patient:
    async def agent(turn: Any) -> Any:
        yield "so far"
        turn.fail("the model is gone")

    made = stack.enter_context(BlockingEmbeddedGateway(agent, token=TOKEN))
    return Patient(made.url, 9, "chat", ("--chat", "hi"))


PATIENTS: dict[str, Admit] = {
    "healthy-v3": healthy(3),
    "healthy-v4": healthy(4),
    "unknown-name": unknown_name,
    "nothing-listening": nothing_listening,
    "http-server": plain(web("HTTP/1.1 200 OK", "Server: nginx/1.27.0"), 3, "upgrade"),
    "redirect": plain(web("HTTP/1.1 302 Found", "Location: https://login.example"), 3, "upgrade"),
    "unknown-authority": unknown_authority,
    "wrong-pin": wrong_pin,
    "plain-text-to-tls": plain_text_to_tls,
    "tls-to-plain-text": plain(web(), 3, "tls", "wss"),
    "wrong-token": wrong_token,
    "no-token": no_token,
    "version-5": version_five,
    "pairing": pairing,
    "missing-scope": missing_scope,
    "missing-scope-v3": missing_scope_on_v3,
    "rate-limited": rate_limited,
    "silent-server": plain(silent, 3, "upgrade", "ws", "--timeout", "1"),
    "silent-tls-server": plain(silent, 3, "tls", "wss", "--timeout", "1"),
    "hangs-up": plain(hang_up, 3, "upgrade"),
    "silent-gateway": silent_gateway,
    "proxy-refuses": proxy_that_refuses,
    "failing-model": failing_model,
}


@contextmanager
def admitted(name: str, folder: Path) -> Iterator[Patient]:
    with ExitStack() as stack:
        yield PATIENTS[name](stack, folder)


def masked(text: str) -> str:
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    return text


def check(path: Path, shown: str) -> None:
    """Compare an output with the file that keeps it."""
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PATIENTS)
def test_doctor_names_the_stage_and_the_remedy(name: str, alone: Program, tmp_path: Path) -> None:
    with admitted(name, tmp_path) as patient:
        alone.environment |= patient.environment | {"OPENCLAW_GATEWAY_URL": patient.url}
        text = alone.run("doctor", *patient.arguments)
        told = alone.run("doctor", *patient.arguments, "--json")
    assert (text.code, told.code) == (patient.code, patient.code), text.out + text.err
    stages = [item for item in told.objects if item["type"] == "stage"]
    failed = [item["stage"] for item in stages if item["result"] == "failed"]
    assert failed == ([patient.stage] if patient.stage else [])
    assert text.err == ""
    if patient.stage is not None:
        assert stages[-1]["remedy"]
        assert stages[-1]["remedy"] in text.out
        assert told.objects[-1]["type"] == "error"
    check(SNAPSHOTS / f"{name}.txt", masked(text.out))
    check(SNAPSHOTS / f"{name}.jsonl", masked(told.out))


def test_the_time_limit_of_a_step_is_that_of_the_test_chat_too(program: Program) -> None:
    ran = program.run("doctor", "--chat", "endless", "--timeout", "1")
    assert (ran.code, ran.err) == (7, "")
    assert re.search(r"^failed +chat ", ran.out, re.MULTILINE)
    # The session of that chat, in which no other run is.
    stop = re.search(r"`openclaw-client (abort --run .*)` ends it there", ran.out)
    assert stop is not None
    assert program.run(*stop[1].split()).code == 0


def test_every_snapshot_has_its_test() -> None:
    assert {path.name for path in SNAPSHOTS.iterdir()} == {
        f"{name}.{kind}" for name in PATIENTS for kind in ("txt", "jsonl")
    }


def test_pairing_shows_the_command(alone: Program, tmp_path: Path) -> None:
    with BlockingEmbeddedGateway(token=TOKEN, auto_approve=False) as strict:
        alone.environment |= {"OPENCLAW_GATEWAY_TOKEN": TOKEN, "OPENCLAW_GATEWAY_URL": strict.url}
        ran = alone.run("doctor")
        (request,) = strict.pending
        assert f"`openclaw devices approve {request.id}`" in ran.out
        strict.approve()
        assert alone.run("doctor").code == 0


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize("look", [PROGRAM, WITHOUT_RICH], ids=["rich", "plain"])
def test_on_a_terminal(program: Program, look: tuple[str, ...]) -> None:
    program.environment["OPENCLAW_GATEWAY_TOKEN"] = "wrong"
    with Terminal((*look, "doctor"), program.environ()) as terminal:
        assert terminal.wait_for_end() == 4
        screen = terminal.screen()
    assert ("✓ upgrade" in screen) == (look is PROGRAM)
    assert ("✗ connect" in screen) == (look is PROGRAM)
    assert "gateway.auth.token" in screen
    # The line that told what goes on is gone.
    assert "…" not in screen


@pytest.mark.parametrize("code", [*UNREACHED, *REFUSED])
def test_no_advice_of_the_command_line_names_arguments_of_python(code: str) -> None:
    remedy = {**UNREACHED, **REFUSED}[code].remedy
    told = advice(ConnectError(detail_code=code, remedy=remedy), parse(["doctor"]))
    assert told
    assert not re.search(r"\w=|\w\(\)|Timeouts", told), told


@pytest.mark.parametrize(
    ("remedy", "told"),
    [
        ("Ask with scopes=, or trust it with ca_file=.", "Ask with --scopes, or trust it with --ca-file."),
        ("Set it, or pass identity=.", "Set it, or give --identity."),
        ("Make it writable, or pass another identity store", "Make it writable, or give another file with --identity"),
        ("needed_scopes=, my.scopes= and scopes=admin", "needed_scopes=, my.scopes= and scopes=admin"),
    ],
)
def test_only_whole_arguments_are_told_as_options(remedy: str, told: str) -> None:
    assert advice(ConnectError(remedy=remedy), parse(["doctor"])) == told


def test_no_advice_for_a_close_names_arguments_of_python() -> None:
    assert not [each for each in CLOSED.values() if re.search(r"\w=|\w\(\)", each.remedy)]


# `pin`, --tls-fingerprint and --ca-file.


def test_pin_shows_what_to_give_and_that_works(alone: Program, tmp_path: Path) -> None:
    certificate = Certificate.make(tmp_path, "own")
    with serving(web(), certificate.context()) as port:
        url = f"wss://127.0.0.1:{port}"
        (shown,) = alone.run("pin", url, "--json").objects
        assert (shown["type"], shown["url"], shown["fingerprint"]) == ("certificate", url, certificate.fingerprint)
        assert shown["subject"] == shown["issuer"] == "CN=openclaw own"
        # A pin that is wrong and a file that is not there are no reason not to look.
        for wrong in (("--tls-fingerprint", "00"), ("--ca-file", str(tmp_path / "none.pem"))):
            again = alone.run("pin", url, "--json", *wrong)
            assert (again.err, again.objects) == ("", [shown])
        text = alone.run("pin", "--url", url)
        assert (text.code, text.err) == (0, "")
        assert f"fingerprint  {certificate.fingerprint}\n" in text.out
        assert f"OPENCLAW_GATEWAY_TLS_FINGERPRINT={certificate.fingerprint}\n" in text.out
        pinned = [
            alone.run("doctor", "--json", "--url", url, "--tls-fingerprint", certificate.fingerprint),
            alone.run("doctor", "--json", "--url", url, "--ca-file", str(certificate.path)),
        ]
        alone.environment |= {
            "OPENCLAW_GATEWAY_URL": url,
            "OPENCLAW_GATEWAY_TLS_FINGERPRINT": certificate.fingerprint,
        }
        pinned.append(alone.run("doctor", "--json"))
        del alone.environment["OPENCLAW_GATEWAY_TLS_FINGERPRINT"]
        alone.environment["OPENCLAW_GATEWAY_CA_FILE"] = str(certificate.path)
        pinned.append(alone.run("doctor", "--json"))
    for ran in pinned:
        results = {item["stage"]: item["result"] for item in ran.objects if item["type"] == "stage"}
        assert (results["tls"], results["upgrade"]) == ("ok", "failed"), ran.out


def test_pin_needs_tls(alone: Program) -> None:
    ran = alone.run("pin", "ws://127.0.0.1:1")
    assert (ran.code, ran.out) == (2, "")
    assert "wss://" in ran.err


def test_a_ca_file_that_cannot_be_used(alone: Program, tmp_path: Path) -> None:
    with serving(web(), Certificate.make(tmp_path, "own").context()) as port:
        ran = alone.run("doctor", "--url", f"wss://127.0.0.1:{port}", "--ca-file", str(tmp_path / "none.pem"))
    assert ran.code == 2
    assert "failed  tls" in ran.out
    assert "ca_file" in ran.out
