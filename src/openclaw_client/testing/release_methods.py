"""Which methods the real releases have, whether this gateway serves them or not, and who may call them.

Reads `advertised.json`, recorded by `tests/gateways/advertised.py`. Refuses to know what a method does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from openclaw_client.testing.releases import release_key
from openclaw_client.testing.traits import Profile

NODE_ROLE: Final = "node"
"""Stands for a scope where no operator may call a method."""


def scopes_of(profile: Profile) -> dict[str, str | None]:
    """The scope of every method that the release has, as far as it was seen; None where nothing is needed."""
    return dict(_named(profile, "named")) | dict(_named(profile, "unnamed"))


def named_in_hello(profile: Profile) -> set[str]:
    """What the release names in hello-ok."""
    return {name for name, _ in _named(profile, "named")}


def _named(profile: Profile, kind: str) -> Iterator[tuple[str, str | None]]:
    for scope, spans in _recorded()[kind].items():
        for span, names in spans.items():
            first, _, last = span.partition(" ")
            if release_key(first) <= profile.key and (not last or profile.key <= release_key(last)):
                yield from ((name, scope or None) for name in names.split())


@lru_cache(maxsize=1)
def _recorded() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(files("openclaw_client.testing").joinpath("advertised.json").read_text())
    return recorded
