"""What a command line says, with a type. The defaults stand here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_SESSION = "main"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What goes with a message, as `chat_stream` takes it."""

    system_prompt: str | None = field(default=None, repr=False)
    model: str | None = None
    thinking: str | None = None


@dataclass(slots=True)
class Options:
    """The arguments of every command; those that a command doesn't have keep their defaults.

    session is None where none was given: most commands then take the main one, `events` takes all.
    """

    command: str = ""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    password: str | None = field(default=None, repr=False)
    session: str | None = None
    json: bool = False
    embedded: bool = False
    timeout: float | None = None
    scopes: list[str] | None = None
    no_device: bool = False
    identity: str | None = None
    tls_fingerprint: str | None = None
    ca_file: str | None = None
    headers: list[str] = field(default_factory=list, repr=False)
    verbose: int = 0

    message: str | None = None
    system_prompt: str | None = field(default=None, repr=False)
    model: str | None = None
    thinking: str | None = None
    label: str | None = None
    limit: int | None = None
    run_id: str | None = None
    method: str = ""
    params: str | None = None
    names: list[str] = field(default_factory=list)
    watch: bool = False
    always: bool = False
    texts: list[str] = field(default_factory=list, repr=False)
    no_wait: bool = False
    action: str = ""
    ident: str | None = None
    path: str = "."
    max_bytes: int | None = None
    port: int | None = None
    protocol: int | None = None
    agent: str | None = None
    test_message: str | None = None
    gateway: str | None = None
    module: str = ""
    approve: bool = False
    host_name: str | None = None
    dead: bool = False
    user: str | None = None

    @property
    def wishes(self) -> Wishes:
        return Wishes(self.system_prompt, self.model, self.thinking)

    @property
    def session_key(self) -> str:
        return DEFAULT_SESSION if self.session is None else self.session
