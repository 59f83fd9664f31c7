"""`devices`: the devices of the gateway, and those that wait to become one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.errors import UsageError
from openclaw_client.errors.peer_text import one_line
from openclaw_client.sync.client import GatewayClient

HELP = """\
list, approve, reject and remove devices
`list` tells the ids. Needs the scope operator.pairing, and asks for it by
itself."""

SCOPES = ("operator.read", "operator.write", "operator.approvals", "operator.pairing")
"""Pairing beside what the other commands ask for: fewer would be approved anew with the next one of those."""

_ACTIONS: dict[str, tuple[str, str, str]] = {
    "approve": ("device.pair.approve", "requestId", "approved"),
    "reject": ("device.pair.reject", "requestId", "rejected"),
    "remove": ("device.pair.remove", "deviceId", "removed"),
}
"""Method, the parameter that the id is, and what was done to it."""

_FIELDS = {
    "request_id": "requestId",
    "device_id": "deviceId",
    "client_id": "clientId",
    "platform": "platform",
    "role": "role",
    "scopes": "scopes",
}
"""What is shown of a device: gateways also tell keys and addresses."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", *_ACTIONS), help="what to do")
    parser.add_argument(
        "ident", nargs="?", metavar="ID", help="the request to approve or reject, or the device to remove"
    )


def run(options: Options) -> int:
    if options.action == "list":
        if options.ident is not None:
            raise UsageError(message="`devices list` takes no id", remedy="Leave it out")
        with connected(options, sessions=(), scopes=SCOPES) as client:
            _list(client, options)
        return ExitCode.OK
    method, parameter, done = _ACTIONS[options.action]
    if options.ident is None:
        raise UsageError(message=f"`devices {options.action}` needs an id", remedy="`devices list` tells them")
    with connected(options, sessions=(), scopes=SCOPES) as client:
        answer = client.request(method, {parameter: options.ident})
    _tell(done, parameter, answer, options)
    return ExitCode.OK


def _list(client: GatewayClient, options: Options) -> None:
    page = _mapping(client.request("device.pair.list", {}))
    groups = {kind: [_shown(entry) for entry in page.get(kind) or ()] for kind in ("pending", "paired")}
    for kind, devices in groups.items():
        for device in devices:
            if options.json:
                json_line(kind, device)
            else:
                write(_line(kind, device))
    if options.json:
        json_line("devices", {kind: len(devices) for kind, devices in groups.items()})
    elif not any(groups.values()):
        write("no device is paired, and none waits\n")


def _tell(done: str, parameter: str, answer: Any, options: Options) -> None:
    """The answer to approve has the device in it, the others are flat."""
    fields = _mapping(answer)
    device_id = _mapping(fields.get("device")).get("deviceId") or fields.get("deviceId")
    if options.json:
        request_id = options.ident if parameter == "requestId" else None
        json_line(done, {"request_id": request_id, "device_id": device_id})
    else:
        write(f"{done} {one_line(str(device_id or options.ident))}\n")


def _shown(entry: Any) -> dict[str, Any]:
    fields = _mapping(entry)
    return {name: fields[key] for name, key in _FIELDS.items() if key in fields}


def _line(kind: str, device: Mapping[str, Any]) -> str:
    """The id that the next command needs comes first."""
    names = ("request_id", "device_id") if kind == "pending" else ("device_id",)
    ids = [f"{'device ' if at else ''}{device.get(name)}" for at, name in enumerate(names)]
    rest = [str(device[name]) for name in ("client_id", "platform", "role") if device.get(name)]
    scopes = device.get("scopes")
    if isinstance(scopes, list):
        rest.append(",".join(map(str, scopes)))
    return one_line(" ".join([kind, *ids, *rest])) + "\n"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
