"""`pair` and `devices`, as programs."""

from __future__ import annotations

import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import DeviceIdentity, GatewayClient
from openclaw_client.errors import PairingRequired
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import PROGRAM, TOKEN, WITHOUT_RICH, Program, finish, read_until
from tests.cli.terminal import Terminal

WAIT_FOR_TMUX = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def strict() -> Iterator[BlockingEmbeddedGateway]:
    """A gateway that lets nobody in by itself."""
    with BlockingEmbeddedGateway(token=TOKEN, auto_approve=False) as gateway:
        yield gateway


@pytest.fixture
def stranger(own_home: Path, strict: BlockingEmbeddedGateway) -> Program:
    """The program on a device that is not approved."""
    return Program(own_home, {"OPENCLAW_GATEWAY_URL": strict.url, "OPENCLAW_GATEWAY_TOKEN": TOKEN})


def pending_of(gateway: BlockingEmbeddedGateway) -> Any:
    (request,) = gateway.pending
    return request


def test_no_wait_tells_what_to_approve(stranger: Program, strict: BlockingEmbeddedGateway) -> None:
    ran = stranger.run("pair", "--no-wait")
    request = pending_of(strict)
    assert (ran.code, ran.err) == (5, "")
    assert f"\n  openclaw devices approve {request.id}\n" in ran.out
    assert f"device  {request.device_id}\n" in ran.out
    assert "reason  not-paired\n" in ran.out
    assert "scopes  operator.read, operator.write, operator.approvals\n" in ran.out
    strict.approve()
    ran = stranger.run("pair", "--no-wait")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("this device is approved: operator.")


def test_the_command_that_waits_for_more_scopes_asks_for_them(own_home: Path) -> None:
    # A release that gives a paired device no more scopes by itself.
    with BlockingEmbeddedGateway(token=TOKEN, release="2026.4.15") as gateway:
        program = Program(own_home, {"OPENCLAW_GATEWAY_URL": gateway.url, "OPENCLAW_GATEWAY_TOKEN": TOKEN})
        assert program.run("chat", "hi").code == 0
        refused = program.run("inject", "a note")
        assert refused.code == 5
        proposed = refused.err.split("`")[3]
        assert proposed.startswith("openclaw-client pair ")
        waiting = shlex.split(proposed)[1:]
        assert program.run(*waiting, "--no-wait").code == 5
        gateway.approve()
        assert "operator.admin" in program.run(*waiting).out
        assert program.run("inject", "a note").code == 0


def test_no_wait_as_json_ends_with_the_error(stranger: Program, strict: BlockingEmbeddedGateway) -> None:
    ran = stranger.run("pair", "--no-wait", "--json")
    request = pending_of(strict)
    pending, error = ran.objects
    assert ran.code == error["exit_code"] == 5
    assert pending == {
        "type": "pairing_required",
        "request_id": request.id,
        "device_id": request.device_id,
        "reason": "not-paired",
        "requested_scopes": ["operator.read", "operator.write", "operator.approvals"],
        "approved_scopes": [],
        "command": f"openclaw devices approve {request.id}",
    }
    assert (error["error"], error["request_id"]) == ("PairingRequired", request.id)


def test_pair_waits_until_the_device_is_approved(stranger: Program, strict: BlockingEmbeddedGateway) -> None:
    with stranger.start("pair", "--json") as process:
        (pending,) = read_until(process, "pairing_required")
        strict.approve(pending["request_id"])
        paired = read_until(process, "paired")[-1]
        assert finish(process) == ("", "")
    assert process.returncode == 0
    assert (paired["protocol"], "operator.write" in paired["scopes"]) == (4, True)
    # The device token does from here on.
    del stranger.environment["OPENCLAW_GATEWAY_TOKEN"]
    assert stranger.run("chat", "hi").out == "echo: hi\n"


def test_more_scopes_are_told_beside_the_approved_ones(stranger: Program, strict: BlockingEmbeddedGateway) -> None:
    stranger.run("pair", "--no-wait", "--scopes", "read")
    strict.approve()
    ran = stranger.run("pair", "--no-wait", "--scopes", "read,admin")
    assert ran.code == 5
    assert "reason  scope-upgrade\n" in ran.out
    assert "scopes  operator.read, operator.admin (approved so far: operator.read)\n" in ran.out


def test_ctrl_c_ends_the_wait(stranger: Program, strict: BlockingEmbeddedGateway) -> None:
    with stranger.start("pair", "--json") as process:
        read_until(process, "pairing_required")
        process.send_signal(signal.SIGINT)
        assert finish(process) == ("", "")
    assert process.returncode == 130
    assert pending_of(strict)


@WAIT_FOR_TMUX
@pytest.mark.parametrize("look", [PROGRAM, WITHOUT_RICH], ids=["rich", "plain"])
def test_a_person_sees_that_it_waits(stranger: Program, strict: BlockingEmbeddedGateway, look: tuple[str, ...]) -> None:
    with Terminal((*look, "pair"), stranger.environ()) as terminal:
        screen = terminal.wait_for("waiting for the approval")
        assert f"  openclaw devices approve {pending_of(strict).id}" in screen
        strict.approve()
        terminal.wait_for("this device is approved: operator.")
        assert terminal.wait_for_end() == 0


def test_devices_are_listed_approved_rejected_and_removed(own_home: Path) -> None:
    # A release that takes strangers at their word; only this machine's devices are let in unasked.
    with BlockingEmbeddedGateway(token=TOKEN, release="2026.6.1") as gateway:
        program = Program(own_home, {"OPENCLAW_GATEWAY_URL": gateway.url, "OPENCLAW_GATEWAY_TOKEN": TOKEN})
        device, request = knock(gateway)
        listed = program.run("devices", "list", "--json")
        assert listed.code == 0, listed.err
        assert "operator.pairing" in gateway.seen.connects[-1].params["scopes"]
        assert listed.types == ["pending", "paired", "devices"]
        pending = listed.objects[0]
        assert (pending["request_id"], pending["device_id"]) == (request, device)
        assert listed.objects[-1] == {"type": "devices", "pending": 1, "pending_nodes": 0, "paired": 1}
        assert f"pending {request} device {device} " in program.run("devices", "list").out

        assert program.run("devices", "reject", request).out == f"rejected {device}\n"
        device, request = knock(gateway)
        assert program.run("devices", "approve", request, "--json").objects == [
            {"type": "approved", "request_id": request, "device_id": device}
        ]
        assert device in [one.id for one in gateway.devices]
        assert f"\npaired {device} " in program.run("devices", "list").out
        assert program.run("devices", "remove", device).out == f"removed {device}\n"
        assert device not in [one.id for one in gateway.devices]


def knock(gateway: BlockingEmbeddedGateway) -> tuple[str, str]:
    """A device from elsewhere asks to be let in; its id and the request's."""
    identity = DeviceIdentity.generate()
    client = GatewayClient(
        gateway.url, token=TOKEN, identity=identity, headers={"X-Forwarded-For": "203.0.113.7"}, scopes=["read"]
    )
    with pytest.raises(PairingRequired) as caught:
        client.connect()
    return identity.id, str(caught.value.request_id)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("list", "x"), "takes no id"),
        (("approve",), "needs an id"),
        (("reject",), "needs an id"),
        (("remove",), "needs an id"),
        (("rename", "x"), "invalid choice"),
    ],
)
def test_an_unusable_devices_command(
    program: Program, gateway: BlockingEmbeddedGateway, arguments: tuple[str, ...], complaint: str
) -> None:
    ran = program.run("devices", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err
    assert gateway.seen.opened == 0


def test_what_the_gateway_does_not_know_is_an_error(program: Program) -> None:
    ran = program.run("devices", "approve", "no-such-request")
    assert (ran.code, ran.out) == (1, "")
    assert "device.pair.approve" in ran.err
