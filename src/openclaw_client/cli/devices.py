"""`devices`: the devices of the gateway, those that wait to become one, and nodes that wait for their commands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.node_requests import listed_nodes, node_line
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.errors import UsageError
from openclaw_client.errors.peer_text import one_line
from openclaw_client.sync.client import GatewayClient

HELP = """\
list, approve, reject and remove devices, and what nodes may run
`list` tells the ids: of devices that want to be let in, and of nodes, which are
in, whose commands wait to be allowed. Needs the scope operator.pairing, and
asks for it by itself."""

SCOPES = ("operator.read", "operator.write", "operator.approvals", "operator.pairing")
"""Pairing beside what the other commands ask for: fewer would be approved anew with the next one of those. Most
requests of nodes need operator.write, too."""

_ACTIONS: dict[str, tuple[str, str, str]] = {
    "approve": ("device.pair.approve", "requestId", "approved"),
    "reject": ("device.pair.reject", "requestId", "rejected"),
    "remove": ("device.pair.remove", "deviceId", "removed"),
}
"""Method, the parameter that the id is, and what was done to it."""
_NODE_METHODS = {"approve": "node.pair.approve", "reject": "node.pair.reject"}
"""The same for a request of a node."""

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
        of_node = options.action in _NODE_METHODS and _is_nodes(client, options.ident)
        if of_node:
            method = _NODE_METHODS[options.action]
        answer = client.request(method, {parameter: options.ident})
    _tell(done, parameter, answer, options, of_node=of_node)
    return ExitCode.OK


def _is_nodes(client: GatewayClient, request_id: str) -> bool:
    return any(request.get("request_id") == request_id for request in listed_nodes(client))


def _list(client: GatewayClient, options: Options) -> None:
    page = _mapping(client.request("device.pair.list", {}))
    groups = {
        "pending": [_shown(entry) for entry in page.get("pending") or ()],
        "pending_node": listed_nodes(client),
        "paired": [_shown(entry) for entry in page.get("paired") or ()],
    }
    for kind, entries in groups.items():
        for entry in entries:
            if options.json:
                json_line(kind, entry)
            else:
                write(node_line(entry) if kind == "pending_node" else _line(kind, entry))
    if options.json:
        names = {"pending_node": "pending_nodes"}
        json_line("devices", {names.get(kind, kind): len(entries) for kind, entries in groups.items()})
    elif not any(groups.values()):
        write("no device is paired, and none waits\n")


def _tell(done: str, parameter: str, answer: Any, options: Options, *, of_node: bool) -> None:
    """The answer to approve has the device or the node in it, the others are flat."""
    fields = _mapping(answer)
    kind = "node" if of_node else "device"
    ident = _mapping(fields.get(kind)).get(f"{kind}Id") or fields.get(f"{kind}Id")
    if options.json:
        request_id = options.ident if parameter == "requestId" else None
        json_line(done, {"request_id": request_id, f"{kind}_id": ident})
    else:
        write(f"{done} {'node ' if of_node else ''}{one_line(str(ident or options.ident))}\n")


def _shown(entry: Any) -> dict[str, Any]:
    fields = _mapping(entry)
    return {name: fields[key] for name, key in _FIELDS.items() if key in fields}


def _line(kind: str, device: Mapping[str, Any]) -> str:
    """The id that the next command needs comes first."""
    names = ("request_id", "device_id") if kind == "pending" else ("device_id",)
    ids = [f"{'device ' if at else ''}{device.get(name)}" for at, name in enumerate(names)]
    rest = [str(device[name]) for name in ("client_id", "platform", "role") if device.get(name)]
    scopes = device.get("scopes")
    if isinstance(scopes, list) and scopes:
        rest.append(",".join(map(str, scopes)))
    return one_line(" ".join([kind, *ids, *rest])) + "\n"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
