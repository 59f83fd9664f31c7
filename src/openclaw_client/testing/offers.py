"""The tools that nodes publish: which of them count, and under which names agents may call them.

Pure: lists in, lists out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openclaw_client.testing.surfaces import TOOL_COMMAND

MOST_TOOLS: Final = 128
"""Tools of one node that count; the gateways' own number."""
LONGEST_DESCRIPTION: Final = 1024
"""Characters of a description that count; the gateways' own number."""
LONGEST_NAME: Final = 64
"""Characters that the name of a tool may have."""
NAME: Final = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"
NODE_HOST: Final = "node-mcp"
"""The plugin id that is kept for the tools of MCP servers."""
PLUGIN_TOOLS: Final = {
    "browser": "browser",
    "canvas": "canvas",
    "dir_fetch": "file-transfer",
    "dir_list": "file-transfer",
    "file_fetch": "file-transfer",
    "file_write": "file-transfer",
    "memory_get": "memory-core",
    "memory_search": "memory-core",
    "node_inference": "ollama",
    "talk_voice": "talk-voice",
}
"""Tools of plugins that the gateways bring along, and of which one. No agent calls them here, but their names are
taken: a node's tool of such a name gets another. One that is named like a tool of the gateway takes its place."""
DIRECT_TOOLS: Final = frozenset(
    {
        "apply_patch",
        "computer",
        "edit",
        "exec",
        "ls",
        "openclaw",
        "process",
        "read",
        "sessions_yield",
        "tool_call",
        "tool_describe",
        "tool_search",
        "view_image",
        "write",
    }
)
"""Tools of the gateway that a model has at hand behind the search for all others: those of nodes don't come up to
them."""
_FRAGMENT: Final = 32
"""Characters of a node's id that are put before a name."""
_ANY_PARAMETERS: Final[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool that agents may call. name: as they see it. published: as its node published it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    node_id: str
    published: Mapping[str, Any]


def counted(tools: Iterable[Mapping[str, Any]], commands: Sequence[str]) -> list[dict[str, Any]]:
    """What of a published list counts, for a node that may perform these commands: sorted, and each name once."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for tool in tools:
        shown = _shown(tool)
        if shown["description"] and shown["command"] in commands and not _is_misnamed(shown):
            found.setdefault((shown["pluginId"], shown["name"]), shown)
    return [found[key] for key in sorted(found, key=lambda key: (key[0].lower(), key[1].lower(), key))][:MOST_TOOLS]


def _shown(tool: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "pluginId": tool["pluginId"].strip(),
        "name": tool["name"].strip(),
        "description": tool["description"].strip()[:LONGEST_DESCRIPTION],
        "parameters": tool.get("parameters", _ANY_PARAMETERS),
        "command": tool.get("command", "").strip(),
    }
    mcp = {key: value.strip() for key, value in tool.get("mcp", {}).items()}
    return {**shown, "mcp": mcp} if mcp.get("server") and mcp.get("tool") else shown


def _is_misnamed(tool: Mapping[str, Any]) -> bool:
    if not tool["pluginId"] or re.match(NAME, tool["name"]) is None:
        return True
    return tool["pluginId"] == NODE_HOST and (tool["command"] != TOOL_COMMAND or "mcp" not in tool)


def offered(nodes: Iterable[tuple[str, str, Sequence[Mapping[str, Any]]]]) -> dict[str, OfferedTool]:
    """What agents may call, by name, out of the id, the label and the counted tools of each node.

    A name that two nodes have is no one's: both tools get another, with a part of the id of their node before it. So
    does one that is named like a plugin's.
    """
    all_tools = [(node_id, label, tool) for node_id, label, tools in nodes for tool in tools]
    all_tools.sort(key=lambda one: (one[2]["pluginId"].lower(), one[2]["name"].lower(), one[0]))
    counts = Counter(tool["name"].lower() for _, _, tool in all_tools)
    found: dict[str, OfferedTool] = {}
    taken = set(PLUGIN_TOOLS)
    for node_id, label, tool in all_tools:
        name = tool["name"]
        if counts[name.lower()] > 1 or name.lower() in taken:
            name = _renamed(name, node_id, taken)
        taken.add(name.lower())
        description = f"{tool['description']} (node: {label})"
        found[name] = OfferedTool(name, description, tool["parameters"], node_id, tool)
    return found


def _renamed(name: str, node_id: str, taken: set[str]) -> str:
    fragment = re.sub(r"[^a-z0-9_]+", "_", node_id.lower()).strip("_")[:_FRAGMENT] or "node"
    if not fragment[0].isalpha():
        fragment = f"node_{fragment}"[:_FRAGMENT]
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        room = LONGEST_NAME - len(fragment) - 1 - len(suffix)
        wanted = f"{fragment}_{name[:room]}{suffix}"
        if wanted.lower() not in taken:
            return wanted
        number += 1
