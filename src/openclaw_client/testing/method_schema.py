"""The closed parameters of the methods that the embedded gateway serves, per release."""

from __future__ import annotations

from openclaw_client.testing.answer_schema import answer_rules
from openclaw_client.testing.more_schema import MORE, agent_rule, file_rules
from openclaw_client.testing.node_schema import node_rules
from openclaw_client.testing.schema import Anything, Fields, Flag, Items, Rule, Text, Whole
from openclaw_client.testing.traits import Profile
from openclaw_client.wire import limits

_FILLED = Text(low=1)


def method_rules(profile: Profile) -> dict[str, Fields | None]:
    """The rule of each method; None where parameters are not looked at."""
    key = Text(low=1) if profile.long_keys else Text(low=1, high=limits.MAX_SESSION_KEY)
    abort: dict[str, Rule] = {"sessionKey": _FILLED, "runId": _FILLED}
    if profile.more_methods:
        # There are no runs beside the one of a session here, which it is about.
        abort["preserveSideRuns"] = Flag()
    rules: dict[str, Fields | None] = {
        "chat.send": _send(profile, key),
        "chat.history": _history(profile),
        "chat.abort": Fields(_with_agent(profile, abort), ("sessionKey",)),
        "chat.inject": Fields(
            _with_agent(profile, {"sessionKey": _FILLED, "message": _FILLED, "label": Text(high=limits.MAX_LABEL)}),
            ("sessionKey", "message"),
        ),
        "agent": agent_rule(profile),
        "agent.wait": Fields({"runId": _FILLED, "timeoutMs": Whole(low=0)}, ("runId",)),
        "sessions.list": _list(profile),
        "sessions.reset": Fields(
            _with_agent(profile, {"key": _FILLED, "reason": Text(choices=frozenset({"new", "reset"}))}), ("key",)
        ),
        "status": None,
        "health": None,
        "system-presence": None,
        "last-heartbeat": None,
        "agents.list": Fields(),
        "models.list": Fields({"view": _FILLED} if profile.model_views else {}),
        "device.pair.list": Fields(),
        "device.pair.approve": Fields({"requestId": _FILLED}, ("requestId",)),
        "device.pair.reject": Fields({"requestId": _FILLED}, ("requestId",)),
        "device.token.rotate": Fields(
            {"deviceId": _FILLED, "role": _FILLED, "scopes": Items(_FILLED)}, ("deviceId", "role")
        ),
        "device.token.revoke": Fields({"deviceId": _FILLED, "role": _FILLED}, ("deviceId", "role")),
        **answer_rules(profile),
        **node_rules(profile),
    }
    if profile.message_get:
        get: dict[str, Rule] = {"sessionKey": _FILLED, "messageId": _FILLED, "maxChars": Whole(low=1)}
        rules["chat.message.get"] = Fields(_with_agent(profile, get), ("sessionKey", "messageId"))
    if profile.removes_devices:
        rules["device.pair.remove"] = Fields({"deviceId": _FILLED}, ("deviceId",))
    if profile.session_methods:
        extra: dict[str, Rule] = {"agentId": _FILLED, "includeApprovals": Flag()}
        watch: dict[str, Rule] = {"key": _FILLED}
        watch |= {name: rule for name, rule in extra.items() if name in profile.watch_keys}
        rules["sessions.subscribe"] = None
        rules["sessions.messages.subscribe"] = Fields(watch, ("key",))
        rules["sessions.messages.unsubscribe"] = Fields(watch, ("key",))
        if profile.unsubscribe:
            rules["sessions.unsubscribe"] = None
    if profile.files:
        rules |= file_rules(profile)
    if profile.describes:
        rules["sessions.describe"] = MORE["sessions.describe"]
    if profile.more_methods:
        rules |= MORE
    return rules


def _send(profile: Profile, key: Text) -> Fields:
    known: dict[str, Rule] = {
        "sessionKey": key,
        "message": Text(),
        "thinking": Text(),
        "deliver": Flag(),
        "attachments": Items(Anything()),
        "timeoutMs": Whole(low=0),
        "idempotencyKey": _FILLED,
    }
    for name in ("agentId", "sessionId", "replyToId"):
        if name in profile.send_keys:
            known[name] = _FILLED
    if "fastMode" in profile.send_keys:
        known["fastMode"] = Anything()
    if "queueMode" in profile.send_keys:
        known["queueMode"] = Text(choices=frozenset({"steer", "followup", "collect", "interrupt"}))
    if "fastAutoOnSeconds" in profile.send_keys:
        known["fastAutoOnSeconds"] = Whole(low=0)
    return Fields(known, ("sessionKey", "message", "idempotencyKey"))


def _list(profile: Profile) -> Fields:
    known: dict[str, Rule] = {
        "limit": Whole(low=1),
        "activeMinutes": Whole(low=1),
        "includeGlobal": Flag(),
        "includeUnknown": Flag(),
        "includeDerivedTitles": Flag(),
        "includeLastMessage": Flag(),
        "label": _FILLED,
        "spawnedBy": _FILLED,
        "agentId": _FILLED,
        "search": Text(),
    }
    if profile.more_methods:
        # None of these leaves out, or adds to, what there is here.
        known |= {name: Flag() for name in ("excludeSubagents", "excludeCron", "excludeSystem", "configuredAgentsOnly")}
        known |= {"includeActivitySummary": Flag(), "offset": Whole(low=0)}
    return Fields(known)


def _history(profile: Profile) -> Fields:
    known: dict[str, Rule] = {"sessionKey": _FILLED, "limit": Whole(low=1, high=limits.MAX_HISTORY_LIMIT)}
    extras: dict[str, Rule] = {
        "maxChars": Whole(low=1, high=500_000),
        "offset": Whole(low=0),
        "messageId": _FILLED,
        "cursor": _FILLED,
        "inputRunIds": Items(_FILLED),
    }
    known |= {name: rule for name, rule in extras.items() if name in profile.history_keys}
    return Fields(_with_agent(profile, known), ("sessionKey",))


def _with_agent(profile: Profile, known: dict[str, Rule]) -> dict[str, Rule]:
    """Releases whose chat.send knows an agent's id know it in its siblings."""
    return {**known, "agentId": _FILLED} if "agentId" in profile.send_keys else known
