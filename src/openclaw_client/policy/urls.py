"""Which URLs the client connects to, and how it writes them down.

Plain `ws://` is for this machine and private networks, because the token crosses the network in clear. The same hosts
as in the gateway's own client count as private.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_plus, urlsplit

from openclaw_client.errors import UsageError
from openclaw_client.policy.texts import one_line

DEFAULT_URL = "ws://127.0.0.1:18789"
"""Where a gateway listens when nobody says otherwise."""

_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_SECRET_NAME = re.compile(r"token|password|secret|key|auth|credential|cookie", re.IGNORECASE)
_NAME = re.compile(rb"[0-9A-Za-z._-]+")
"""A host's name as it goes to the name server."""
_SAFE = "/?%:@!$&'()*+,;=-._~"
"""What stands in a path or a query as it is; everything else would break the request line."""
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fe80::/10",
        "fc00::/7",
        "fec0::/10",
    )
)
_ALLOW_NAME = "set OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1 in the environment"
_PRIVATE_SUFFIXES = (".local", ".ts.net")


@dataclass(frozen=True, slots=True)
class GatewayUrl:
    """A checked URL. `text` is what is connected to; it is shown as `redacted`, which str() gives."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def secure(self) -> bool:
        return self.scheme == "wss"

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback(self.host)

    @property
    def private(self) -> bool:
        """Whether the host is this machine or within a private network, as far as its name tells."""
        return is_private(self.host)

    @property
    def origin(self) -> str:
        """Scheme, host, port and path: what a stored device token belongs to. With a slash at the end or without one it
        is the same gateway."""
        return f"{self.scheme}://{self._netloc()}{self.path.rstrip('/')}"

    @property
    def text(self) -> str:
        """With the path as it is written: behind a proxy the slash at its end can decide."""
        return self._address() + (f"?{self.query}" if self.query else "")

    @property
    def redacted(self) -> str:
        """The URL with the values of telling query parameters left out."""
        if not self.query:
            return self._address()
        pairs = [
            f"{quote(name)}={'…' if is_secret_name(name) else quote(value)}"
            for name, value in parse_qsl(self.query, keep_blank_values=True)
        ]
        return f"{self._address()}?{'&'.join(pairs)}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that `redacted` leaves out: as they are written, as a query is read, and as a path is."""
        pairs = [pair.partition("=") for pair in self.query.split("&")]
        written = [value for name, _, value in pairs if value and is_secret_name(unquote_plus(name))]
        return tuple(dict.fromkeys(form for one in written for form in (one, unquote_plus(one), unquote(one))))

    def __str__(self) -> str:
        return self.redacted

    def __repr__(self) -> str:
        return f"GatewayUrl({self.redacted!r})"

    def _address(self) -> str:
        return f"{self.scheme}://{self._netloc()}{self.path}"

    def _netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def parse_url(text: object, *, allow_insecure: bool = False) -> GatewayUrl:
    """The checked URL, or UsageError without I/O; http and https are taken as ws and wss.

    allow_insecure: also takes ws:// to a host *name* that does not look private (OPENCLAW_ALLOW_INSECURE_PRIVATE_WS).
    """
    # A line break within would be left out by the parser, and another port or host come of it.
    line = one_line("the gateway URL", text)
    if not line:
        raise UsageError(message="the gateway URL is empty", remedy=f"Use one like {DEFAULT_URL}")
    parts, port = _split(line)
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None:
        raise UsageError(
            message="the gateway URL must begin with ws://, wss://, http:// or https://",
            remedy=f"Use one like {DEFAULT_URL}",
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            message="the gateway URL holds a user name or password; it was not used",
            remedy="Take it out of the URL and pass token= or password= instead",
        )
    host = (parts.hostname or "").rstrip(".")
    if not _is_usable(host):
        raise UsageError(message="the gateway URL has no usable host", remedy=f"Use one like {DEFAULT_URL}")
    # A single slash is what a request without a path asks for.
    path, query = quote(parts.path, safe=_SAFE) if parts.path != "/" else "", quote(parts.query, safe=_SAFE)
    url = GatewayUrl(scheme, host, port if port is not None else _default_port(scheme), path, query)
    if not url.secure and is_unspecified(host):
        here = "[::1]" if ":" in host else "127.0.0.1"
        raise UsageError(
            message=f"{host} is where a gateway listens, on all addresses of its machine, and none to connect to",
            remedy=f"Use ws://{here}:{url.port} on that machine, and elsewhere wss:// or a tunnel to it",
        )
    if not url.secure and not url.private and not (allow_insecure and not _is_address(host)):
        named = "" if _is_address(host) else f"; for a name within a private network, such as compose's, {_ALLOW_NAME}"
        raise UsageError(
            message=f"{url.origin} would send the credentials in clear over a public network; nothing was sent",
            remedy=f"Use wss://, or a tunnel (ssh, Tailscale) to a private address{named}",
        )
    return url


def is_proxy(url: str) -> bool:
    """Whether a URL, with a scheme, names a host and a port that can be asked for."""
    try:
        parts, _ = _split(url)
    except UsageError:
        return False
    return _is_usable((parts.hostname or "").rstrip("."))


def is_secret_name(name: str) -> bool:
    """Whether a query parameter or a header of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    address = _address(host)
    return address.is_loopback if address is not None else host.lower().rstrip(".") == "localhost"


def is_unspecified(host: str) -> bool:
    """Whether a host is the address that stands for all of a machine's own: 0.0.0.0 or ::."""
    address = _address(host)
    return address is not None and address.is_unspecified


def is_private(host: str) -> bool:
    """Whether a host name or address is one that plain ws:// may go to."""
    address = _address(host)
    if address is None:
        name = host.lower().rstrip(".")
        return name == "localhost" or name.endswith(_PRIVATE_SUFFIXES)
    return any(address.version == network.version and address in network for network in _PRIVATE_NETWORKS)


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError:
        # Raised below: this error and its frames quote what stands before the host, which may be a password.
        pass
    raise UsageError(message="the gateway URL cannot be read", remedy=f"Use one like {DEFAULT_URL}")


def _default_port(scheme: str) -> int:
    return 443 if scheme == "wss" else 80


def _is_address(host: str) -> bool:
    return _address(host) is not None


def _is_usable(host: str) -> bool:
    """Whether a host is an address, or a name that can be looked up."""
    if _is_address(host):
        return True
    try:
        return _NAME.fullmatch(host.encode("idna")) is not None
    except UnicodeError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        # A scope id (fe80::1%eth0) says which link, not which network. Only an IPv6 address has one:
        # 127.0.0.1%x.example is a name, which its owner sends anywhere.
        address = ipaddress.ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
