"""Methods that only read: after a cut their answer is asked for again, where any other request's outcome is unknown."""

from __future__ import annotations

READS_AGAIN = 2
"""How often: an answer that is over a limit of the way costs the connection every time."""

AT_ONCE = 8
"""Reads of a client that are asked again at the same time: a gateway that is back is busy with everybody (2026.9.6
refused 600 at once)."""

READ_METHODS = frozenset(
    # ruff: noqa: SIM905 - a line for each would take the whole screen
    """
    agent.identity.get agents.files.get agents.files.list agents.list artifacts.download artifacts.get artifacts.list
    channels.status
    chat.history chat.message.get commands.list config.get config.schema.lookup cron.get cron.list cron.runs
    cron.status device.pair.list diagnostics.stability doctor.memory.dreamDiary doctor.memory.status
    environments.list environments.status exec.approval.get exec.approval.list gateway.identity.get health
    last-heartbeat logs.tail models.authStatus models.list node.describe node.list node.pair.list
    sessions.compaction.get sessions.compaction.list sessions.describe sessions.get sessions.list sessions.preview
    sessions.resolve sessions.usage sessions.usage.logs sessions.usage.timeseries skills.detail skills.proposals.inspect
    skills.proposals.list skills.search skills.skillCard skills.status status system-presence talk.catalog
    talk.config tasks.get tasks.list tools.catalog tools.effective tts.personas tts.providers tts.status usage.cost
    usage.status voicewake.get voicewake.routing.get
    """.split()
)
"""What the gateways' own tables of scopes (2026.4.15, 2026.6.1) give to operator.read, and the lists of pairings and
approvals; without the subscriptions, which are an effect on the connection. A method that is missing here is not asked
again, which is safe."""
