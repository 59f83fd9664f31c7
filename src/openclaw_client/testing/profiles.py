"""The table of releases. Every entry was observed on the release itself, or is a fact of its package.

A release is one row: the row before it, and what differs from that. What the columns mean is in `traits`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from openclaw_client.errors import UsageError
from openclaw_client.testing.traits import Busy, Profile

__all__ = ["PROFILES", "Busy", "Profile", "profile_for"]

_BACKEND: Final = ("gateway-client", "backend")
_CLI: Final = ("cli", "cli")

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
    agent_pieces=True,
    flushes_tail=False,
    after_tool="anew",
    canonical_everywhere=False,
    canonical_finals=False,
    silent_rows="shown",
    failure="once",
    abort_key="exact",
    abort_needs_owner=False,
    abort_rows=("partial", "stopped"),
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
    wait_knows_failures=True,
    after_early_abort="final-with-text",
    interrupts="silent-and-refused",
    silent_rows="told",
    wraps_user_text=False,
    message_ids=True,
)

_V2026_5_12 = replace(
    _V2026_4_15,
    release="2026.5.12",
    protocol=4,
    reported_version="2026.5.12",
    handshake_timeout=15.0,
    probe_protocol=4,
    keeps_scopes=frozenset({_BACKEND}),
    reports_auth=True,
    pairing_text="pairing required: device is not approved yet",
    pairing_hints=True,
    admin_for_others=False,
    list_totals=True,
    send_keys=frozenset({"sessionId", "fastMode"}),
    model_views=True,
    per_connection_seq=True,
    delta_text=True,
    item_events=True,
    settle_time=0.05,
    steering="together",
    interrupts="final-and-refused",
    silent_rows="none",
    resets="cut",
    abort_rows=("stopped", "partial"),
    abort_lifecycle=True,
    wait_aborted="timeout",
    rerun_aborted=True,
    server_pings=True,
    image_limit=6_291_456,
    drops_other_files=False,
)

_V2026_6_1 = replace(
    _V2026_5_12,
    release="2026.6.1",
    reported_version="2026.6.1",
    verbose_schema=False,
    mismatch_code=True,
    auth_keys=frozenset({*_V2026_5_12.auth_keys, "approvalRuntimeToken"}),
    send_keys=frozenset({*_V2026_5_12.send_keys, "agentId"}),
    watch_keys=frozenset({"agentId"}),
    agent_pieces=False,
    agent_in_rows=True,
    canonical_everywhere=True,
    item_events=False,
    command_rows=True,
    settle_time=0.0,
    busy="queue",
    resets="final",
    abort_key="canonical",
    abort_rows=("stopped",),
    wait_aborted="ok",
    wait_phase=True,
    after_early_abort="final",
    same_text_joins=True,
    in_flight_run=True,
    session_info=True,
    user_blocks=False,
    user_keys="row",
    message_get=True,
)

_V2026_7_35 = replace(
    _V2026_6_1,
    release="2026.7.35",
    reported_version="2026.7.35",
    probe_protocol=3,
    auth_keys=frozenset({*_V2026_6_1.auth_keys, "agentRuntimeIdentityToken"}),
    keeps_scopes=frozenset({_BACKEND, _CLI}),
    reports_capabilities=True,
    history_keys=frozenset({"maxChars", "offset"}),
    send_keys=frozenset({*_V2026_6_1.send_keys, "fastAutoOnSeconds"}),
    agent_pieces=True,
    agent_in_chat=True,
    stop_reason_on_final=True,
    item_events=True,
    settle_time=0.05,
    busy="steer",
    steering="breaks",
    collects=True,
    interrupts="breaks",
    resets="aborted-anew",
    aborts_waiting=True,
    failure="twice",
    failure_status="error",
    failure_text=True,
    abort_rows=("partial",),
    lifecycle_details=True,
    wait_aborted="error",
    abort_status="timeout",
    rerun_aborted=False,
    empty_answer="aborted-and-error",
    same_text_joins=False,
    active_run_ids="asked",
    pages="asked",
    user_keys="row-and-meta",
)

_V2026_8_1 = replace(
    _V2026_7_35,
    release="2026.8.1",
    reported_version="2026.8.1",
    client_keys=frozenset({"timeZone", "buildId"}),
    upgrades_scopes=True,
    reports_own_scopes=True,
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
    send_keys=frozenset({*_V2026_7_35.send_keys, "queueMode", "replyToId"}),
    watch_keys=frozenset({"agentId", "includeApprovals"}),
    mutation_target=True,
    targeted_seq=True,
    agent_pieces=False,
    status_phases=("preparing_workspace", "preparing_context", "starting_model"),
    throttle=0.075,
    trailing_delta=True,
    rows_at_once=True,
    keeps_user_row=True,
    settle_time=0.0,
    steering="late",
    interrupts="late",
    resets="aborted",
    reset_keeps_id=True,
    late_finals="twice",
    terminal_reply=True,
    strict_keys=True,
    abort_key="any",
    abort_rows=("partial", "empty"),
    after_early_abort="nothing",
    in_flight_others=True,
    active_run_ids="idle",
    pages="always",
    rows_name_runs=True,
    shutdown_null=False,
    slow_consumer="cut",
)

_V2026_9_6 = replace(
    _V2026_8_1,
    release="2026.9.6",
    reported_version="2026.9.6",
    secret_in_any_field=True,
    reports_method=True,
    history_keys=frozenset({*_V2026_8_1.history_keys, "inputRunIds"}),
    after_tool="paragraph",
    interrupts="aborted",
    late_finals="marked",
    knows_silence=False,
    conflicts=True,
    failure_key=True,
    abort_rows=("partial",),
    wait_phase=False,
    run_timeout=True,
    pending_inputs=True,
)

_ROWS: Final = (_V2026_2_17, _V2026_4_15, _V2026_5_12, _V2026_6_1, _V2026_7_35, _V2026_8_1, _V2026_9_6)

PROFILES: Final[dict[str, Profile]] = {profile.release: profile for profile in _ROWS}
"""All releases, from the oldest to the newest."""


def profile_for(protocol: int | None = None, release: str | None = None) -> Profile:
    """The profile of a release, else the newest of a wire version (4 by default). UsageError where there is none."""
    if release is None:
        wanted = 4 if protocol is None else protocol
        of_protocol = [profile for profile in _ROWS if profile.protocol == wanted]
        if not of_protocol:
            raise UsageError(message=f"no known gateway speaks protocol {protocol}", remedy="Use 3 or 4")
        return max(of_protocol, key=lambda profile: profile.key)
    profile = PROFILES.get(release)
    if profile is None:
        known = ", ".join(PROFILES)
        raise UsageError(message=f"release {release!r} is not known", remedy=f"Use one of {known}")
    if protocol is not None and profile.protocol != protocol:
        raise UsageError(message=f"release {release} speaks protocol {profile.protocol}, not {protocol}")
    return profile
