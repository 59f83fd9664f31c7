"""A gateway for tests: on a real socket, in this process, with faults on request.

Shares the wire and the server core with the package, and nothing of the client.
"""

from openclaw_client.testing.blocking import BlockingEmbeddedGateway
from openclaw_client.testing.custom import MethodCaller, MethodHandler, Refusal
from openclaw_client.testing.faults import Faults, OutFrame
from openclaw_client.testing.gateway import DEFAULT_TOKEN, EmbeddedGateway
from openclaw_client.testing.hub import Seen, SeenConnect
from openclaw_client.testing.offers import OfferedTool
from openclaw_client.testing.profiles import PROFILES, Profile
from openclaw_client.testing.turn import Agent, Gate, ToolAnswer, Turn, TurnFailed

__all__ = [
    "DEFAULT_TOKEN",
    "PROFILES",
    "Agent",
    "BlockingEmbeddedGateway",
    "EmbeddedGateway",
    "Faults",
    "Gate",
    "MethodCaller",
    "MethodHandler",
    "OfferedTool",
    "OutFrame",
    "Profile",
    "Refusal",
    "Seen",
    "SeenConnect",
    "ToolAnswer",
    "Turn",
    "TurnFailed",
]
