"""A shop's stock as tools of an agent.

    OPENCLAW_GATEWAY_URL=… OPENCLAW_GATEWAY_TOKEN=… python -m examples.stock_tools

Customers chat in sessions `agent:main:shop:<customer>`. A dict is the database here.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Annotated, Literal

from msgspec import Meta

from openclaw_client import SessionKey, ToolCall, ToolError, ToolHost, tool

STOCK = {("A-1", "main"): 12, ("A-1", "north"): 0, ("B-7", "main"): 3}
RESERVED: dict[str, dict[str, int]] = {}
LOCK = threading.Lock()
"""Calls of several customers run at once, each in a thread."""

Sku = Annotated[str, "the article's number, such as A-1", Meta(pattern="^[A-Z]-[0-9]+$")]


def customer_of(session_key: str) -> str | None:
    match SessionKey.parse(session_key):
        case ("main", ("shop", customer)):
            return customer
    return None


@tool
def stock(sku: Sku, warehouse: Literal["main", "north"] = "main") -> dict[str, object]:
    """How many pieces of an article are in stock."""
    if (sku, warehouse) not in STOCK:
        raise ToolError(f"There is no article {sku} in {warehouse}; there are {sorted({sku for sku, _ in STOCK})}.")
    return {"sku": sku, "warehouse": warehouse, "pieces": STOCK[sku, warehouse]}


@tool(timeout=10)
def reserve(call: ToolCall, sku: Sku, pieces: Annotated[int, Meta(ge=1, le=100)]) -> str:
    """Reserve pieces of an article for the customer who asks."""
    with LOCK:
        left = STOCK.get((sku, "main"), 0) - sum(one.get(sku, 0) for one in RESERVED.values())
        if pieces > left:
            raise ToolError(f"Pieces of {sku} left: {left}.")
        mine = RESERVED.setdefault(call.user, {})
        mine[sku] = mine.get(sku, 0) + pieces
    return f"Reserved: {pieces} of {sku}"


if __name__ == "__main__":
    with ToolHost(name="shop", tools=[stock, reserve], user_of=customer_of) as host:
        print(host.waiting_for or f"serving {', '.join(host.published)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            host.run_forever()
