"""How four real releases differ, as one table. Every entry was observed on the release itself.

Knows facts, no behaviour: what follows from a fact stands where it is acted upon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from openclaw_client.errors import UsageError

Busy = Literal["steer", "followup", "collect", "interrupt", "queue"]
"""What becomes of a message that meets a running run: it is answered within that run; in a later run with a random id;
with others in one such run; in a run of its own, for which the first is stopped; in a run of its own after it."""

_BACKEND: Final = ("gateway-client", "backend")
_CLI: Final = ("cli", "cli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One release. Times in seconds, sizes in bytes."""

    release: str
    protocol: int
    reported_version: str

    # connect
    handshake_timeout: float
    connect_limit: int | None
    verbose_schema: bool
    """The wording of refused parameters; see `schema`."""
    detail_codes: bool
    """Whether errors carry `details.code` and advice, or text alone."""
    probe_protocol: int | None
    """`minimumProbeProtocol` of a protocol mismatch; None where the details hold `expectedProtocol` alone."""
    client_keys: frozenset[str] = frozenset()
    auth_keys: frozenset[str] = frozenset({"token", "password"})
    narrow_client_ids: bool = False
    nonce_optional: bool = False
    signatures: tuple[str, ...] = ("v3", "v2")
    signature_window: float = 120.0
    secret_in_any_field: bool = False
    keeps_scopes: frozenset[tuple[str, str]] = frozenset()
    """client id and mode of those who keep their scopes without a device, on loopback."""
    trusts_backend: bool = True
    """Whether a backend client on loopback is let in without pairing its device (and then gets no device token)."""
    upgrades_scopes: bool = False
    """Whether more scopes than approved are granted silently on loopback, or need an approval."""
    checks_every_origin: bool = True
    reports_auth: bool = True
    """Whether hello-ok always has `auth`, or only for a paired device."""
    reports_method: bool = False
    reports_attachments: bool = False
    reports_boot: bool = False
    takes_traceparent: bool = False
    """Whether a request frame may carry a trace context, or is refused for it."""
    retry_after: bool = False
    """Whether a rate-limited connect is told when to come back."""
    pairing_text: str = "pairing required"
    pairing_hints: bool = False
    cli_mismatch_hint: str = "set gateway.remote.token to match gateway.auth.token"
    max_strangers: int | None = None
    """Sockets of one address without hello-ok; one more is refused with HTTP 503."""
    refuses_proxies: bool = False
    """Whether `X-Forwarded-For` costs the upgrade (HTTP 403), or just loopback's privileges."""

    widens_requests: bool = False
    """Whether a waiting pairing request that covers a new one stands for it, or only one for the same scopes."""

    # device tokens
    reissues_tokens: bool = False
    """Whether a device whose token was revoked gets a new one for the shared secret, or needs an approval."""
    checks_metadata: bool = True
    admin_for_others: bool = False
    """Whether rotating, revoking or removing another device needs operator.admin beside operator.pairing."""
    rotation_closes: bool = True
    rotation_hides_token: bool = False
    removes_devices: bool = True

    # requests
    forbidden: bool = False
    """Whether a missing scope is FORBIDDEN with details, or INVALID_REQUEST with text."""
    health_scope: str | None = None
    session_methods: bool = True
    unsubscribe: bool = True
    history_keys: frozenset[str] = frozenset()
    long_keys: bool = False
    """Whether chat.send takes session keys of more than 512 characters."""
    send_keys: frozenset[str] = frozenset()
    mutation_target: bool = False
    """Whether a request without a session to change is refused before its parameters are looked at."""

    # events
    per_connection_seq: bool = True
    targeted_seq: bool = False
    delta_text: bool = True
    flushes_tail: bool = True
    status_phases: tuple[str, ...] = ()
    agent_in_chat: bool = False
    stop_reason_on_final: bool = False
    canonical_everywhere: bool = True
    """Whether the events of aborted runs carry the canonical session key, or the key as the client wrote it."""
    canonical_finals: bool = True
    """The same for injected messages, commands, and messages that were handed to another run."""
    item_events: bool = False

    # runs
    trailing_delta: bool = False
    """Whether text that is held back by the throttle is shown when its time is over, or with the next piece."""
    after_tool: Literal["anew", "glued", "paragraph"] = "glued"
    """What becomes of the text before a tool call when the model speaks again: it is void, the new text stands right
    behind it, or behind an empty line."""
    rows_at_once: bool = False
    """Whether the rows of a run are written when they come to be, or all when it ends."""
    keeps_user_row: bool = False
    """Whether a message that is sent again after a restart stands in the transcript once."""
    throttle: float = 0.15
    """What the release itself waits between two deltas; the embedded gateway's default is shorter."""
    busy: Busy = "followup"
    steers_late: bool = False
    """Whether a steered message ends without words when the run takes it up, and says into which; or at once."""
    collects: bool = False
    """Whether messages are collected into one run, or answered one by one although the mode says so."""
    interrupts: Literal["aborted", "silent", "silent-and-refused"] = "silent"
    """How an interrupted run ends: with an aborted event, without any, and then the message is refused in words."""
    conflicts: bool = False
    """Whether a reused idempotency key with another message is refused, or swallowed."""
    failure: Literal["once", "silent", "twice"] = "silent"
    """Chat events of a failed run: one error, none at all, or two with different texts."""
    failure_status: Literal["ok", "error"] = "ok"
    abort_key: Literal["exact", "canonical", "any"] = "any"
    """How the session key of chat.abort must be spelled."""
    abort_needs_owner: bool = True
    """Whether a client without admin may abort only the runs of its own device or connection."""
    abort_rows: tuple[Literal["partial", "stopped"], ...] = ("partial",)
    """What chat.history keeps of an aborted run: the text as the gateway's message, as a stopped one of the model."""
    failure_text: bool = False
    """Whether chat.history shows a failed run as text, or as `errorMessage`."""
    wait_knows_failures: bool = True
    """Whether agent.wait tells how a run ended that did not succeed."""
    abort_status: Literal["ok", "timeout"] = "ok"
    """The status of a cached acknowledgement after an abort."""
    rerun_aborted: bool = False
    """Whether the key of an aborted run starts a new run."""
    after_early_abort: Literal["nothing", "final", "final-with-text"] = "nothing"
    """What follows `aborted` when the run had said nothing yet."""
    empty_answer: Literal["final", "aborted-and-error"] = "final"
    run_timeout: bool = False
    same_text_joins: bool = False
    """Whether a message with the text of the active run is taken for that run, whatever its key."""

    # history
    in_flight_run: bool = False
    session_info: bool = False
    active_run_ids: bool = False
    pages: bool = False
    wraps_user_text: bool = False
    user_blocks: bool = False
    message_ids: bool = True
    history_chars: int = 8_000
    """What a page gives of one text."""
    message_get: bool = False

    # life
    server_pings: bool = True
    shutdown_null: bool = True
    slow_consumer: Literal["close", "cut"] = "close"
    image_limit: int = 5_000_000
    drops_other_files: bool = False


_V2026_2_17 = Profile(
    release="2026.2.17",
    protocol=3,
    reported_version="dev",
    handshake_timeout=10.0,
    connect_limit=None,
    verbose_schema=True,
    detail_codes=False,
    probe_protocol=None,
    narrow_client_ids=True,
    nonce_optional=True,
    signatures=("v2", "v1"),
    signature_window=600.0,
    trusts_backend=False,
    upgrades_scopes=True,
    checks_every_origin=False,
    reports_auth=False,
    checks_metadata=False,
    reissues_tokens=True,
    rotation_closes=False,
    removes_devices=False,
    health_scope="operator.read",
    session_methods=False,
    unsubscribe=False,
    long_keys=True,
    per_connection_seq=False,
    delta_text=False,
    flushes_tail=False,
    after_tool="anew",
    canonical_everywhere=False,
    canonical_finals=False,
    failure="once",
    abort_key="exact",
    abort_needs_owner=False,
    abort_rows=("stopped",),
    wait_knows_failures=False,
    wraps_user_text=True,
    user_blocks=True,
    message_ids=False,
    server_pings=False,
    drops_other_files=True,
    history_chars=12_000,
)

_V2026_4_15 = replace(
    _V2026_2_17,
    release="2026.4.15",
    reported_version="2026.4.15",
    connect_limit=65_536,
    max_strangers=32,
    detail_codes=True,
    auth_keys=frozenset({"token", "password", "bootstrapToken", "deviceToken"}),
    narrow_client_ids=False,
    nonce_optional=False,
    signatures=("v3", "v2"),
    signature_window=120.0,
    trusts_backend=True,
    upgrades_scopes=False,
    checks_every_origin=True,
    checks_metadata=True,
    admin_for_others=True,
    reissues_tokens=False,
    rotation_closes=True,
    removes_devices=True,
    health_scope=None,
    session_methods=True,
    unsubscribe=True,
    long_keys=False,
    history_keys=frozenset({"maxChars"}),
    history_chars=8_000,
    flushes_tail=True,
    after_tool="glued",
    canonical_finals=True,
    failure="silent",
    abort_needs_owner=True,
    abort_rows=("partial", "stopped"),
    wait_knows_failures=True,
    after_early_abort="final-with-text",
    interrupts="silent-and-refused",
    wraps_user_text=False,
    message_ids=True,
)

_V2026_6_1 = replace(
    _V2026_4_15,
    release="2026.6.1",
    protocol=4,
    reported_version="2026.6.1",
    handshake_timeout=15.0,
    verbose_schema=False,
    probe_protocol=4,
    auth_keys=frozenset({*_V2026_4_15.auth_keys, "approvalRuntimeToken", "agentRuntimeIdentityToken"}),
    keeps_scopes=frozenset({_BACKEND}),
    reports_auth=True,
    pairing_text="pairing required: device is not approved yet",
    pairing_hints=True,
    admin_for_others=False,
    send_keys=frozenset({"agentId", "sessionId", "fastMode"}),
    per_connection_seq=True,
    delta_text=True,
    canonical_everywhere=True,
    busy="queue",
    abort_key="canonical",
    rerun_aborted=True,
    after_early_abort="final",
    same_text_joins=True,
    in_flight_run=True,
    session_info=True,
    user_blocks=False,
    message_get=True,
    server_pings=True,
    image_limit=6_291_456,
    drops_other_files=False,
)

_V2026_9_6 = replace(
    _V2026_6_1,
    release="2026.9.6",
    reported_version="2026.9.6",
    probe_protocol=3,
    client_keys=frozenset({"timeZone", "buildId"}),
    secret_in_any_field=True,
    keeps_scopes=frozenset({_BACKEND, _CLI}),
    upgrades_scopes=True,
    reports_method=True,
    reports_attachments=True,
    reports_boot=True,
    takes_traceparent=True,
    retry_after=True,
    cli_mismatch_hint="use this gateway's gateway.auth.token or pair the device",
    refuses_proxies=True,
    widens_requests=True,
    rotation_hides_token=True,
    forbidden=True,
    unsubscribe=False,
    history_keys=frozenset({"maxChars", "offset", "messageId", "cursor"}),
    send_keys=frozenset({*_V2026_6_1.send_keys, "queueMode", "replyToId", "fastAutoOnSeconds"}),
    mutation_target=True,
    targeted_seq=True,
    status_phases=("preparing_workspace", "preparing_context", "starting_model"),
    agent_in_chat=True,
    stop_reason_on_final=True,
    item_events=True,
    throttle=0.075,
    trailing_delta=True,
    after_tool="paragraph",
    rows_at_once=True,
    keeps_user_row=True,
    busy="steer",
    steers_late=True,
    collects=True,
    interrupts="aborted",
    conflicts=True,
    failure="twice",
    failure_status="error",
    abort_key="any",
    abort_rows=("partial",),
    failure_text=True,
    abort_status="timeout",
    rerun_aborted=False,
    after_early_abort="nothing",
    empty_answer="aborted-and-error",
    run_timeout=True,
    same_text_joins=False,
    active_run_ids=True,
    pages=True,
    shutdown_null=False,
    slow_consumer="cut",
)

PROFILES: Final[dict[str, Profile]] = {
    profile.release: profile for profile in (_V2026_2_17, _V2026_4_15, _V2026_6_1, _V2026_9_6)
}

_NEWEST_OF_PROTOCOL: Final = {3: "2026.4.15", 4: "2026.9.6"}


def profile_for(protocol: int | None = None, release: str | None = None) -> Profile:
    """The profile of a release, else the newest of a wire version (4 by default). UsageError where there is none."""
    if release is None:
        release = _NEWEST_OF_PROTOCOL.get(4 if protocol is None else protocol)
        if release is None:
            raise UsageError(message=f"no known gateway speaks protocol {protocol}", remedy="Use 3 or 4")
    profile = PROFILES.get(release)
    if profile is None:
        known = ", ".join(PROFILES)
        raise UsageError(message=f"release {release!r} is not known", remedy=f"Use one of {known}")
    if protocol is not None and profile.protocol != protocol:
        raise UsageError(message=f"release {release} speaks protocol {profile.protocol}, not {protocol}")
    return profile
