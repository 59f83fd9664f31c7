"""Records which methods the real releases have, and the scope of each, for the embedded gateway.

Knows how a gateway tells: hello-ok names methods, and a caller without any scope is told the one that is missing.

    python -m tests.gateways.advertised      # starts every release once, and writes the file
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from openclaw_client.policy.methods import UNNAMED

from .install import RELEASES
from .launch import RealGateway
from .model import StubModel
from .raw import RawClient, RawDevice, RawError

FILE = Path(__file__).parents[2] / "src/openclaw_client/testing/advertised.json"

UNCALLED = frozenset({"config.openFile"})
"""Acts on the machine of the gateway, whatever its parameters are."""

NONSENSE = {"no-such-parameter": True}
"""For calls that must not do anything."""

ANSWER_TIMEOUT = 20.0
"""Seconds for one refusal. The slowest took 2."""

Found = Mapping[str, Mapping[str, str]]
"""Scopes by method and release."""


def scopes_of(gateway: RealGateway) -> tuple[dict[str, str], dict[str, str]]:
    """The scopes of the methods that a gateway names in hello-ok, and of those that it has and does not name.

    "" stands for none, "node" for a method that no operator may call.
    """
    with gateway.client() as admin:
        named = set(admin.hello["features"]["methods"])
        hidden = {
            name for name in UNNAMED - named - UNCALLED if _answer(admin, name, NONSENSE) != f"unknown method: {name}"
        }
    with gateway.client(scopes=[], device=RawDevice(), client_id="cli", client_mode="cli") as nobody:
        return {name: _scope(nobody, name) for name in named}, {name: _scope(nobody, name) for name in hidden}


def _scope(nobody: RawClient, name: str) -> str:
    # Some methods want more for some parameters; what they want at least is recorded.
    said = _answer(nobody, name, {})
    if said.startswith("unauthorized role"):
        return "node"
    return said.removeprefix("missing scope: ") if said.startswith("missing scope: ") else ""


def _answer(client: RawClient, name: str, params: dict[str, Any]) -> str:
    """What a gateway says to a call; "" where it takes it."""
    try:
        client.request(name, params, timeout=ANSWER_TIMEOUT)
    except RawError as refused:
        return str(refused.response["error"]["message"])
    return ""


def packed(found: Found, releases: Iterable[str] = RELEASES) -> dict[str, dict[str, str]]:
    """By scope, then by the first and the last release that has it so: the names, separated by spaces.

    Without a last release it is there to this day. A name that was gone in between stands in two places.
    """
    result: dict[str, dict[str, list[str]]] = {}
    order = list(releases)
    for name, scopes in sorted(found.items()):
        first = 0
        for at in range(len(order)):
            here, behind = scopes.get(order[at]), scopes.get(order[at + 1]) if at + 1 < len(order) else None
            if here is not None and (at + 1 == len(order) or here != behind):
                span = order[first] if at + 1 == len(order) else f"{order[first]} {order[at]}"
                result.setdefault(here, {}).setdefault(span, []).append(name)
            if here != behind:
                first = at + 1
    return {
        scope: {span: " ".join(names) for span, names in sorted(spans.items(), key=lambda one: _ages(one[0]))}
        for scope, spans in sorted(result.items())
    }


def _ages(span: str) -> list[int]:
    return [RELEASES.index(release) for release in span.split()]


def main() -> None:
    found: tuple[dict[str, dict[str, str]], ...] = ({}, {})
    with StubModel() as model:
        for release in RELEASES:
            with RealGateway(release, model_url=model.url) as gateway:
                for kind, scopes in zip(found, scopes_of(gateway), strict=True):
                    for name, scope in scopes.items():
                        kind.setdefault(name, {})[release] = scope
                    print(f"{release}: {len(scopes)}", flush=True)
    content: dict[str, Any] = {"named": packed(found[0]), "unnamed": packed(found[1])}
    FILE.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
