"""What one release does differently from another: the columns of the table of releases.

Knows names and meanings. The values of each release are in `profiles`; what follows from them stands where it is acted
upon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from openclaw_client.testing.releases import ReleaseKey, release_key

Busy = Literal["steer", "followup", "collect", "interrupt", "queue"]
"""What becomes of a message that meets a running run: it is answered within that run; in a later run with a random id;
with others in one such run; in a run of its own, for which the first is stopped; in a run of its own after it."""


SCOPED_EVENTS = frozenset({"agent", "chat", "chat.side_result", "session.observer", "session.tool"})
"""Those that a client can have kept back for the sessions that it did not subscribe to."""


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
    mismatch_code: bool = False
    """Whether the details of a protocol mismatch have a code and the client's range beside the gateway's versions."""
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
    reports_own_scopes: bool = False
    """Whether hello-ok tells the scopes of the connection, or those of the device's token."""
    reports_attachments: bool = False
    reports_boot: bool = False
    reports_capabilities: bool = False
    """Whether `features` lists the gateway's capabilities."""
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
    bounds_starts: bool = False
    """Whether requests are refused where too many of all clients wait to be begun."""
    forbidden: bool = False
    """Whether a missing scope is FORBIDDEN with details, or INVALID_REQUEST with text."""
    health_scope: str | None = None
    session_methods: bool = True
    results_told: bool = True
    """Whether the row of a tool's result is told to who watches the session."""
    unlisted_modes: frozenset[str] = frozenset({"cli"})
    """What a client calls itself that is not listed among those who are there."""
    arrivals_told: bool = False
    """Whether an event tells of a listed client that comes, or of those alone that go."""
    health_told: Literal["connect", "minute"] = "connect"
    """When an event tells how the gateway is: whenever somebody is let in, or once a minute."""
    whole_changes: bool = False
    """Whether sessions.changed has the row of the session, and also tells of what it was asked."""
    files: bool = False
    """Whether it is known how an agent sends files, and how they are fetched."""
    more_methods: bool = False
    """Whether what real clients call beside chat is served: its answers were recorded on this release alone."""
    describes: bool = False
    """Whether one session is asked for by its key."""
    list_totals: bool = False
    """Whether sessions.list says how many sessions there are, and which of them run."""
    unsubscribe: bool = True
    history_keys: frozenset[str] = frozenset()
    long_keys: bool = False
    """Whether chat.send takes session keys of more than 512 characters."""
    send_keys: frozenset[str] = frozenset()
    watch_keys: frozenset[str] = frozenset()
    """Parameters of sessions.messages.subscribe beside the session's key."""
    model_views: bool = False
    mutation_target: bool = False
    """Whether a request without a session to change is refused before its parameters are looked at."""

    # events
    per_connection_seq: bool = True
    targeted_seq: bool = False
    scoped_events: bool = False
    """Whether a client can have the events of sessions kept back that it did not subscribe to."""
    delta_text: bool = True
    agent_pieces: bool = False
    """Whether every piece of the model is an agent event, or those alone that are shown as a delta."""
    flushes_tail: bool = True
    status_phases: tuple[str, ...] = ()
    agent_in_chat: bool = False
    calls_shown: bool = False
    """Whether the row of a call of a tool has a block that names it."""
    agent_in_rows: bool = False
    """Whether session.message names the agent."""
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
    """Whether a session's first rows are written when they come to be, or with the first message that the model
    completes. Rows of later runs are written as they come to be, whatever the release."""
    command_rows: bool = False
    """Whether a command stands in the transcript, or its answer alone."""
    keeps_user_row: bool = False
    """Whether a message that is sent again after a restart stands in the transcript once."""
    throttle: float = 0.15
    """What the release itself waits between two deltas; the embedded gateway's default is shorter."""
    busy: Busy = "followup"
    settle_time: float = 0.0
    """How long a session stays busy behind the final of a run; the releases that do took 0.02 to 0.2. A message that
    comes meanwhile ends without words, and is answered in a later run."""
    steering: Literal["one-by-one", "together", "breaks", "late"] = "one-by-one"
    """How a steered message is taken up: it ends without words at once, and the run answers such messages one by one,
    or all together; it is written down at once, which breaks the run; or it ends without words when the run takes it
    up."""
    collects: bool = False
    """Whether messages are collected into one run, or answered one by one although the mode says so."""
    interrupts: Literal["aborted", "late", "breaks", "silent", "silent-and-refused", "final-and-refused"] = "silent"
    """How an interrupted run ends. With an aborted event: at once, after `abort_delay`, or so and the new message is
    not answered either. Without any. Without any, or with a final of its first words, and then the message is refused
    in words."""
    abort_delay: float = 15.0
    """After how long a release that is slow about it tells that a run was interrupted."""
    aborts_waiting: bool = False
    """Whether chat.abort finds a message that waits for another run."""
    resets: Literal["silent", "cut", "final", "aborted", "aborted-anew"] = "silent"
    """How a run ends whose session is begun anew: without any event; with a final of its text so far, and a lifecycle
    event that says that it was cut, or that it ended; or with an aborted event, whose number follows, or is 1."""
    reset_keeps_id: bool = False
    """Whether a session that is begun anew keeps its id, with one row that says so, or has a new one and no rows."""
    late_finals: Literal["plain", "twice", "marked"] = "plain"
    """The final of a run that nobody asked for by its id: as any other; with a second one by the gateway itself; or
    that one alone."""
    strict_keys: bool = False
    """Whether a run breaks over an idempotency key with white space at an end."""
    conflicts: bool = False
    """Whether a reused idempotency key with another message is refused, or swallowed."""
    failure: Literal["once", "silent", "twice"] = "silent"
    """Chat events of a failed run: one error, none at all, or two with different texts."""
    failure_status: Literal["ok", "error"] = "ok"
    abort_key: Literal["exact", "canonical", "any"] = "any"
    """How the session key of chat.abort must be spelled."""
    abort_needs_owner: bool = True
    """Whether a client without admin may abort only the runs of its own device or connection."""
    abort_rows: tuple[Literal["partial", "stopped", "empty"], ...] = ("partial",)
    """What chat.history keeps of an aborted run: the text as the gateway's message, as a stopped one of the model, and
    a stopped one of the model without text."""
    abort_lifecycle: bool = False
    """Whether agent events tell of the end of an aborted run, too."""
    lifecycle_details: bool = False
    """Whether the end of a run says why, and was announced before."""
    failure_key: bool = False
    """Whether the row of a failed run has an idempotency key of its own."""
    failure_text: bool = False
    """Whether chat.history shows a failed run as text, or as `errorMessage`."""
    wait_knows_failures: bool = True
    """Whether agent.wait tells how a run ended that did not succeed."""
    wait_aborted: Literal["ok", "timeout", "error"] = "ok"
    """What agent.wait says of an aborted run."""
    wait_phase: bool = False
    """Whether agent.wait says what it waited for in vain."""
    abort_status: Literal["ok", "timeout"] = "ok"
    """The status of a cached acknowledgement after an abort."""
    rerun_aborted: bool = False
    """Whether the key of an aborted run starts a new run."""
    after_early_abort: Literal["nothing", "final", "final-with-text"] = "nothing"
    """What follows `aborted` when the run had said nothing yet."""
    empty_answer: Literal["final", "aborted-and-error"] = "final"
    """How a run ends whose model says nothing."""
    knows_silence: bool = True
    """Whether a model that says that it has nothing to say gave an answer. Where it did not, it is asked once more."""
    silent_rows: Literal["shown", "told", "none"] = "none"
    """What becomes of the row of such a model: chat.history shows it; it is told of when it is written, and not shown;
    or neither."""
    terminal_reply: bool = False
    """Whether the lifecycle event of the end tells the answer, and of which kind it was."""
    run_timeout: bool = False
    same_text_joins: bool = False
    """Whether a message with the text of the active run is taken for that run, whatever its key."""

    # runs by the method `agent`
    agent_row_keys: bool = False
    """Whether the row of their message has its key, as that of a message of chat.send."""
    agent_keeps_late: bool = False
    """Whether a message of chat.send that meets one of them is kept until the next one of chat.send is over."""
    agent_aborts: bool = False
    """Whether chat.abort and stop words find them."""
    agent_failures: bool = False
    """Whether the second answer of one that failed is an error, or says the reason as if it were the model's answer."""
    agent_in_flight: bool = False
    """Whether `inFlightRun` may be one of them."""
    agent_models: bool = False
    """Whether they may have a model of their own, or the parameters are not known."""
    agent_model_scope: bool = False
    """Whether a model of their own takes operator.admin."""
    agent_in_ack: bool = False
    """Whether they are accepted with the name of the agent."""
    agent_session_in_ack: bool = False
    """Whether they are accepted with the key of the session, and a key in flight is told so instead of accepted."""
    agent_levels: bool = False
    """Whether a level of thinking that the model does not have is refused, or those alone that no model has."""
    agent_error_names: bool = False
    """Whether the reason why one failed stands behind the name of an error."""

    # approvals and questions
    approval_run: Literal["ends-with-text", "ends", "waits"] = "waits"
    """What becomes of a run whose command needs an approval: it ends with a text that says so, or without any, and what
    an allowed command leads to comes in a later run; or it waits."""
    approval_output: Literal["unheard", "proactive", "same-run"] = "same-run"
    """Where that comes: in a run without chat events, so that clients don't hear of it; in one as any other; or in the
    run that waits. The first two tell of a denial, too."""
    approval_viewers: Literal["scope", "admin", "device"] = "scope"
    """Who sees a request and may answer it: all with the scope, admins alone, or the asking device and admins."""
    approval_caps: bool = False
    """Whether those alone are asked who said the capability, and a command that nobody may be asked about is refused at
    once. Where it is not, it waits until it expires."""
    approval_seconds: float = 1800.0
    """After how long a request expires."""
    approval_expiry_told: bool = False
    """Whether an event tells that a request expired."""
    approval_abort_told: bool = False
    """Whether a request is closed when its run is aborted, and an event tells so. Where it is not, it stays pending."""
    approval_lifecycle: bool = False
    """Whether lifecycle events say that the run waits for an approval."""
    approval_stream: bool = False
    """Whether agent events of the stream "approval" tell of a request."""
    approval_fields: tuple[str, ...] = ()
    """What a request holds beside the eight fields of the oldest release."""
    approval_list: bool = False
    approval_kinds: bool = False
    """Whether a request names its kind, and approval.get and approval.resolve serve all kinds."""
    approval_in_resolved: bool = False
    """Whether the event of an answer holds the request."""
    approval_repeat: Literal["unknown", "not-found", "compared"] = "compared"
    """How an answer to a request that is answered is taken: as to an unknown one, in the words of the oldest release or
    in later ones; or it is compared, and the same answer is fine."""
    approval_remedy: bool = False
    """Whether the refusal of an unknown request says what to do."""
    approval_denial_error: bool = False
    """Whether an error event follows the final of a run whose command was denied."""
    approval_target: bool = False
    """Whether a request names the session as the place to which its output goes."""
    follow_up_ids: Literal["random", "approval", "approval-and-nonce"] = "random"
    """The id of the run that tells what an allowed command led to: any, or made of the request's id."""
    questions: bool = False
    """Whether an agent can ask questions."""
    asker_scopes: bool = False
    """Whether an agent asks with the scopes of the client that started its run, and fails without them."""

    # nodes
    node_surfaces: bool = False
    """Whether what a node declares at connect needs an approval; of older releases it was not looked at."""
    node_tools: bool = False
    """Whether a node may publish tools."""
    node_request_scopes: bool = False
    """Whether the event of a node that waits tells what approving it takes; the list does on all."""
    node_told: bool = False
    """Whether a node is told that it was approved, or learns it from the answer to what it publishes next."""
    tool_search: bool = False
    """Whether the model sees tools of nodes through a search only, and calls them through another tool."""
    names_strange_arguments: bool = False
    """Whether a refused argument that a tool does not have is told by its name."""
    invoke_cancel: bool = False
    """Whether a node is told when the run that called it is stopped; where it is not, its result is taken later."""

    # history
    in_flight_run: bool = False
    in_flight_others: bool = False
    """Whether `inFlightRun` may be a run that nobody asked for by its id."""
    session_info: bool = False
    active_run_ids: Literal["never", "asked", "idle"] = "never"
    """Whether `activeRunIds` is there: the ids of the runs that somebody asked for; or [] while the session is idle,
    and nothing while a run is performed."""
    pending_inputs: bool = False
    """Whether a page lists the messages that wait, or an empty list."""
    pages: Literal["never", "asked", "always"] = "never"
    """Whether chat.history says where the next page begins: if it was asked for an offset, or always."""
    wraps_user_text: bool = False
    user_blocks: bool = False
    row_usage: bool = True
    """Whether rows of the model say what they took."""
    user_keys: Literal["none", "row", "row-and-meta"] = "none"
    """Where the row of a user has the idempotency key of its message."""
    rows_name_runs: bool = False
    """Whether rows of the model name their run, and steered messages the run that took them up."""
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

    @property
    def key(self) -> ReleaseKey:
        """The release as numbers that sort by age."""
        return release_key(self.release)
