"""The parameters of what 2026.9.6 serves beside chat."""

from __future__ import annotations

from typing import Final

from openclaw_client.testing.schema import Anything, Fields, Flag, Items, Rule, Text, Whole
from openclaw_client.testing.traits import Profile
from openclaw_client.wire import limits

_FILLED = Text(low=1)
_AGENT_TEXTS = (
    "provider model to replyTo sessionId sessionKey thinking channel replyChannel accountId replyAccountId threadId "
    "groupId groupChannel groupSpace lane extraSystemPrompt voiceWakeTrigger"
)
_AGENT_OTHERS = (
    "promptMode bootstrapContextMode bootstrapContextRunKind acpTurnSource internalRuntimeHandoffId "
    "internalExecutionIdentityRetry internalExecutionIdentityRecoveryAttempt execApprovalFollowupExpectedSessionId "
    "internalEvents inputProvenance suppressPromptPersistence sessionEffects sourceReplyDeliveryMode "
    "disableMessageTool swarmCollector swarmOutputSchema forceRestartSafeTools forceCodeModeTools modelRun "
    "cleanupBundleMcpOnRunEnd"
)
"""Known by name; what they may hold was not looked at."""
_AGENT = Fields(
    {
        "message": _FILLED,
        "agentId": _FILLED,
        "expectedExistingSessionId": _FILLED,
        "cwd": _FILLED,
        "deliver": Flag(),
        "bestEffortDeliver": Flag(),
        "attachments": Items(Anything()),
        "timeout": Whole(low=0),
        "idempotencyKey": _FILLED,
        "label": Text(low=1, high=limits.MAX_LABEL),
        **{name: Text() for name in _AGENT_TEXTS.split()},
        **{name: Anything() for name in _AGENT_OTHERS.split()},
    },
    ("message", "idempotencyKey"),
)


def agent_rule(profile: Profile) -> Fields:
    """What is known of releases before 2026.9.6, which take more."""
    texts = ("sessionId", "sessionKey", "thinking", "lane", "extraSystemPrompt")
    models = ("provider", "model") if profile.agent_models else ()
    return Fields(
        {
            "message": _FILLED,
            "agentId": _FILLED,
            "deliver": Flag(),
            "attachments": Items(Anything()),
            "timeout": Whole(low=0),
            "idempotencyKey": _FILLED,
            **{name: Text() for name in (*texts, *models)},
        },
        ("message", "idempotencyKey"),
    )


_CREATE_OTHERS = (
    "displayName titleSource category agentRuntime contextWindow thinkingLevel fastMode permissionMode toolOverrides "
    "incognito visibility catalogId spawnDepth fork forkFrom emitCommandHooks succeedsParent timeoutMs mentions "
    "attachments projectId projectGitUrl repository worktree worktreeSource worktreeBaseRef worktreeName execNode cwd"
)
_PATCH_OTHERS = (
    "autoLabel icon color category boardFace boardPresentation statusNote attention archived pinned unread "
    "contextWindow thinkingLevel fastMode toolOverrides verboseLevel traceLevel reasoningLevel responseUsage "
    "elevatedLevel execHost execSecurity execAsk execNode permissionMode sandboxMode nativeRuntimeConsent model "
    "agentRuntime sendPolicy completionOwnerSessionKey inheritedToolPolicyVersion inheritedToolAllow "
    "inheritedToolDeny groupActivation "
    "expectedPermissionMode expectedSandboxMode expectedNativeRuntimeConsent expectedToolOverrides "
    "expectedMarkedUnreadAt label"
)


def _fields(texts: str = "", required: tuple[str, ...] = (), others: str = "", **more: Rule) -> Fields:
    """An object: names of texts, names of what may hold anything, and the rest."""
    known: dict[str, Rule] = dict.fromkeys(texts.split(), _FILLED)
    return Fields(known | {name: Anything() for name in others.split()} | more, required)


_EXPECTED = "agentId expectedSessionId expectedLifecycleRevision"

_KEY = Text(low=1, high=limits.MAX_SESSION_KEY)
_SHORT = Text(low=1, high=128)
_ACCEPT_MODES = frozenset({"worktree", "local", "cloud", "session"})
_WAKE_MODES = frozenset({"now", "next-heartbeat"})

MORE: Final[dict[str, Fields | None]] = {
    "agent": _AGENT,
    "sessions.create": _fields(
        "key idempotencyKey agentId label model parentSessionKey", (), _CREATE_OTHERS, task=Text(), message=Text()
    ),
    "sessions.patch": _fields(f"key {_EXPECTED}", ("key",), _PATCH_OTHERS),
    "sessions.delete": _fields(
        f"key {_EXPECTED}",
        ("key",),
        "expectedSessionUpdatedAt",
        deleteTranscript=Flag(),
        emitLifecycleHooks=Flag(),
        archivedOnly=Flag(),
    ),
    "sessions.describe": _fields("key agentId", ("key",), includeDerivedTitles=Flag(), includeLastMessage=Flag()),
    "sessions.resolve": _fields(
        "key sessionId label shortId slugHint agentId spawnedBy",
        (),
        "reference",
        includeGlobal=Flag(),
        includeUnknown=Flag(),
        allowMissing=Flag(),
    ),
    "sessions.preview": _fields("", ("keys",), keys=Items(_FILLED, low=1), limit=Whole(low=1), maxChars=Whole(low=20)),
    "models.list": _fields(
        "agentId sessionKey authProfileId provider view",
        (),
        "includeDetails includeProviderCapabilities includeDefaultModels preparedOnly refresh",
    ),
    "chat.startup": _fields("sessionKey agentId", ("sessionKey",), limit=Whole(low=1), maxChars=Whole(low=1)),
    "chat.metadata": _fields("sessionKey agentId"),
    "commands.list": _fields("sessionKey agentId provider", (), "scope", includeArgs=Flag()),
    "tools.catalog": _fields("agentId", includePlugins=Flag()),
    # Heard, and without effect: nothing beats here.
    "wake": _fields("text sessionKey agentId", ("mode", "text"), mode=Text(choices=_WAKE_MODES)),
    "config.get": None,
    "cron.list": None,
    "cron.status": None,
    "channels.status": None,
    "skills.status": None,
    "logs.tail": None,
    "usage.status": None,
    "usage.cost": None,
    "sessions.usage": _fields(
        "key agentId timeZone utcOffset",
        (),
        "startDate endDate",
        agentScope=Text(choices=frozenset({"all"})),
        mode=Text(choices=frozenset({"utc", "gateway", "specific"})),
        range=Text(choices=frozenset({"7d", "30d", "90d", "1y", "all"})),
        groupBy=Text(choices=frozenset({"instance", "family"})),
        includeHistorical=Flag(),
        includeContextWeight=Flag(),
        limit=Whole(low=1),
    ),
    "sessions.usage.timeseries": None,
    "sessions.usage.logs": None,
    "sessions.compact": _fields("key agentId", ("key",), maxLines=Whole(low=1)),
    "exec.approvals.get": None,
    "taskSuggestions.list": Fields({"sessionKey": _KEY, "agentId": _SHORT}),
    "taskSuggestions.accept": Fields(
        {"taskId": _SHORT, "mode": Text(choices=_ACCEPT_MODES), "cloudProfileId": _SHORT}, ("taskId",)
    ),
    "taskSuggestions.dismiss": Fields({"taskId": _SHORT, "reason": Text(high=1024)}, ("taskId",)),
    "plugin.approval.list": None,
    "plugin.approval.resolve": _fields("id decision", ("id", "decision"), "reviewer"),
    "device.scopes.requestUpgrade": Fields({"scopes": Items(_FILLED, low=1)}, ("scopes",)),
    "device.scopes.waitUpgrade": _fields("requestId", ("requestId",)),
    "tasks.get": _fields("taskId", ("taskId",)),
    "tasks.list": _fields("agentId sessionKey", (), "status sortBy cursor", limit=Whole(low=1, high=500)),
}
"""None: its parameters were not looked at."""


def file_rules(profile: Profile) -> dict[str, Fields | None]:
    """Of artifacts.*; the newest release has more than the one before it."""
    which: dict[str, Rule] = dict.fromkeys(("sessionKey", "runId", "taskId", "agentId"), _FILLED)
    listed: dict[str, Rule] = dict(which)
    one: dict[str, Rule] = {**which, "artifactId": _FILLED}
    fetched: dict[str, Rule] = dict(one)
    if profile.more_methods:
        for known in (listed, one, fetched):
            known["messageRole"] = Text(choices=frozenset({"assistant"}))
        listed |= {"type": Text(choices=frozenset({"image"})), "limit": Whole(low=1, high=4)}
        listed["cursor"] = Text(low=1, high=256)
        fetched["transport"] = Text(choices=frozenset({"http"}))
    needed = ("artifactId",)
    return {
        "artifacts.list": Fields(listed),
        "artifacts.get": Fields(one, needed),
        "artifacts.download": Fields(fetched, needed),
    }
