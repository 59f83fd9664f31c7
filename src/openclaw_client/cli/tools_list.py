"""`tools list`: the tools that nodes publish, and those that an agent has in a session."""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from openclaw_client.cli.connect import connected
from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.errors.peer_text import harmless, one_line

HELP = """\
list the tools that nodes publish
With --session also those that the agent has in that session, under the names
that it knows: a tool that two nodes publish has another name for each."""

LONGEST = 55
"""Characters of a description that are shown: enough to tell one tool from another on a line of 80."""

WIDTH = 80
"""Columns of the narrowest terminal that is common."""
NAME_WIDTH = 20
"""Columns of a name; what is longer pushes the rest aside."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(options: Options) -> int:
    with connected(options, sessions=()) as client:
        nodes = [_node(row) for row in _rows(client.request("node.list", {}), "nodes")]
        groups = []
        if options.session is not None:
            groups = _rows(client.request("tools.effective", {"sessionKey": options.session}), "groups")
    tools = [_tool(row, nodes) for group in groups for row in _rows(group, "tools")]
    if options.json:
        for kind, entries in (("node", nodes), ("tool", tools)):
            for entry in entries:
                json_line(kind, entry)
        json_line("tools", {"nodes": len(nodes), "session": options.session, "tools": len(tools)})
        return ExitCode.OK
    write(harmless(_nodes_text(nodes)))
    if options.session is not None:
        write(harmless("\n" + _session_text(options.session, tools)))
    return ExitCode.OK


def _node(row: Mapping[str, Any]) -> dict[str, Any]:
    tools = [{key: tool.get(key) for key in ("name", "description")} for tool in _rows(row, "nodePluginTools")]
    return {
        "node_id": row.get("nodeId"),
        "name": row.get("displayName"),
        "connected": bool(row.get("connected")),
        "approval": row.get("approvalState"),
        "request_id": row.get("pendingRequestId"),
        "tools": tools,
    }


def _tool(row: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    ident = str(row.get("id"))
    node, name = (None, None) if row.get("source") == "core" else _publisher(ident, nodes)
    return {
        "id": ident,
        "source": row.get("source"),
        "plugin_id": row.get("pluginId"),
        "description": row.get("description"),
        "node_id": node.get("node_id") if node is not None else None,
        "node": node.get("name") if node is not None else None,
        "renamed_from": name if name != ident else None,
    }


def _publisher(ident: str, nodes: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any] | None, str | None]:
    """The node that published what the agent knows by this name, and under which name. None, None for no node's.

    What two nodes publish is called after the beginning of the node's id: "3f1c…_stock", behind "node_" where that
    begins with a digit (2026.8.1 and 2026.9.6).
    """
    for node in nodes:
        for tool in node["tools"]:
            name = str(tool["name"])
            if ident == name:
                return node, name
            head = ident.removesuffix(f"_{name}").removeprefix("node_")
            if ident.endswith(f"_{name}") and head and str(node["node_id"]).lower().startswith(head):
                return node, name
    return None, None


def _nodes_text(nodes: list[dict[str, Any]]) -> str:
    if not nodes:
        return "no node is known here, so none publishes tools\n"
    # Gateways make no difference between a and A here.
    offered = Counter(str(tool["name"]).lower() for node in nodes for tool in node["tools"])
    lines = []
    for node in nodes:
        lines.append(one_line(f"node {node['name'] or node['node_id']}: {_standing(node)}"))
        for tool in node["tools"]:
            renamed = " (renamed: several nodes publish it)" if offered[str(tool["name"]).lower()] > 1 else ""
            lines.append(_line(str(tool["name"]), f"{_short(tool['description'])}{renamed}"))
    return "\n".join(lines) + "\n"


def _standing(node: Mapping[str, Any]) -> str:
    if node["request_id"]:
        return f"waits for `openclaw-client devices approve {node['request_id']}`"
    if str(node["approval"]).startswith("pending"):
        return "waits for its approval, see `openclaw-client devices list`"
    if not node["connected"]:
        return "not connected"
    return "connected" if node["tools"] else "connected, without tools"


def _session_text(session: str, tools: list[dict[str, Any]]) -> str:
    """Those of nodes one by one, the others by their names alone: an agent has dozens of its own."""
    lines = [one_line(f"session {session}: {len(tools)} tools")]
    for tool in tools:
        if tool["node_id"] is None:
            continue
        renamed = f", published as {tool['renamed_from']}" if tool["renamed_from"] else ""
        lines.append(_line(tool["id"], f"of node {tool['node'] or tool['node_id']}{renamed}"))
    sources = dict.fromkeys(str(tool["source"]) for tool in tools if tool["node_id"] is None)
    for source in sources:
        names = [tool["id"] for tool in tools if tool["node_id"] is None and str(tool["source"]) == source]
        text = one_line(f"{source}: {', '.join(names)}")
        lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def _line(name: str, about: str) -> str:
    return f"  {one_line(name):<{NAME_WIDTH}}  {one_line(about)}".rstrip()


def _short(description: Any) -> str:
    text = one_line(str(description or ""))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _rows(value: Any, key: str) -> list[Mapping[str, Any]]:
    """The mappings in a list of an answer; [] where there is no such list."""
    rows = value.get(key) if isinstance(value, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
