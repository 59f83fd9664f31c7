"""What every failure of a connection means, and what to do about it: the one table.

Exceptions take their remedies from here, `diagnose()` and the command line show them, and docs/troubleshooting.md
prints the whole of it. Keys are the gateway's detail codes, this package's own names where no gateway spoke, and close
codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from openclaw_client.wire import codes, limits

Stage = Literal["dns", "tcp", "proxy", "tls", "upgrade", "challenge", "connect", "scopes", "call", "chat"]
"""The steps to a usable connection, in order, and what is done with it then."""


@dataclass(frozen=True, slots=True)
class Advice:
    """stage is where this comes up, None where it may be any; remedy is one sentence for whoever runs the client."""

    stage: Stage | None
    meaning: str
    remedy: str


_ADDRESS = "Check host and port of the URL, and that the gateway is running there"
_PIN_OR_TRUST: Final = "Pin the certificate with tls_fingerprint=, or trust its authority with ca_file="
_DEVICE_FILE: Final = (
    "Check that the identity file is intact and belongs to one device; without it a new device is paired"
)
_TAILSCALE: Final = "Connect through Tailscale Serve with a signed-in user, or pass token= or password="
_IDENTITY_PROXY: Final = "Send with headers= what the proxy in front of the gateway wants, or connect past it"
WHERE_IT_IS: Final = (
    "on the gateway's machine `openclaw gateway auth-token --show` prints it (from 2026.8.1 on), and before that it is "
    "gateway.auth.token in ~/.openclaw/openclaw.json"
)
_NGINX: Final = "(nginx: proxy_http_version 1.1, and the headers Upgrade and Connection)"
_CONTROL_UI: Final = "Leave client_info= at its default: this is a rule for browsers"
_AGAIN: Final = "Try again; if it stays, something between client and gateway holds frames back"

UNREACHED: Final[dict[str, Advice]] = {
    "NAME_UNKNOWN": Advice(
        "dns", "the host name cannot be looked up", "Check the spelling of the host in the URL, and this machine's DNS"
    ),
    "NAME_TIMEOUT": Advice("dns", "the name lookup was not answered", "Check this machine's DNS, network and VPN"),
    "CONNECTION_REFUSED": Advice("tcp", "nothing listens on that port", "Check the URL, and start the gateway there"),
    "NO_ROUTE": Advice(
        "tcp",
        "there is no way to that network",
        "Check the network and the VPN of this machine, and the host of the URL",
    ),
    "TCP_TIMEOUT": Advice(
        "tcp", "the machine does not answer", "Check the host of the URL, and firewalls between here and there"
    ),
    "TCP_FAILED": Advice("tcp", "the system refused the connection", _ADDRESS),
    "NO_ANSWER": Advice(
        None, "the socket was not open in time", f"{_ADDRESS}; `openclaw-client doctor` tells at which step it hangs"
    ),
    "OWN_QUEUE": Advice(
        None,
        "other clients of this process were connecting to that gateway, and this one waited its turn",
        "Connect fewer clients at once, or allow more time with timeouts=Timeouts(connect=…)",
    ),
    "PROXY_UNREACHABLE": Advice(
        "proxy", "the proxy cannot be reached", 'Check the proxy, or pass proxy="" to connect without one'
    ),
    "PROXY_REFUSED": Advice(
        "proxy",
        "the proxy did not connect it",
        'Have the proxy allow the gateway, or pass proxy="" to connect without one',
    ),
    "CERTIFICATE_UNTRUSTED": Advice("tls", "the certificate is by nobody whom this machine trusts", _PIN_OR_TRUST),
    "CERTIFICATE_NOT_STANDARD": Advice(
        "tls",
        "the certificate or its authority's lacks what RFC 5280 asks for, on which Python 3.13 and later insist",
        "Issue the authority's certificate anew with what is missing, or pin the gateway's with tls_fingerprint=",
    ),
    "CERTIFICATE_EXPIRED": Advice(
        "tls", "the certificate is past its date", "Renew the gateway's certificate, and check this machine's clock"
    ),
    "CERTIFICATE_NOT_YET_VALID": Advice(
        "tls", "the certificate counts from a later date on", "Check the clocks of this machine and of the gateway's"
    ),
    "CERTIFICATE_WRONG_NAME": Advice(
        "tls",
        "the certificate is for another host name",
        "Use the name in the certificate as the host of the URL, or pin the certificate with tls_fingerprint=",
    ),
    "PIN_MISMATCH": Advice(
        "tls",
        "the certificate is not the pinned one; nothing was sent",
        "If the gateway got a new certificate, pin that one; if not, somebody is in between",
    ),
    "NOT_TLS": Advice(
        "tls", "the server at this wss:// URL does not speak TLS", "Use ws://, or turn TLS on at the gateway"
    ),
    "TLS_CUT": Advice(
        "tls",
        "the peer cut the connection during the TLS handshake",
        "Look into the server's log; if it is no TLS server, use ws://",
    ),
    "TLS_FAILED": Advice(
        "tls", "the TLS handshake failed", "Check that this is a TLS server, and which versions it offers"
    ),
    "TLS_TIMEOUT": Advice(
        "tls",
        "the server did not complete the TLS handshake",
        "Check that the port is the gateway's, and that it is not stuck",
    ),
    "TLS_EXPECTED": Advice("upgrade", "the server at this ws:// URL speaks TLS", "Use wss://"),
    "UPGRADE_TIMEOUT": Advice(
        "upgrade",
        "the server took the connection and did not answer the WebSocket upgrade",
        "Check that the port is the gateway's, and that it is not stuck",
    ),
    "UPGRADE_CUT": Advice(
        "upgrade",
        "the server ended the connection instead of answering the WebSocket upgrade",
        "Check that the port is the gateway's; with a TLS server use wss://",
    ),
    "NOT_WEBSOCKET": Advice(
        "upgrade", "the server answered with something that is no WebSocket", "Check that the port is the gateway's"
    ),
    "HTTP_301": Advice(
        "upgrade",
        "the server redirects elsewhere; redirects are not followed",
        "Use the URL that it points to, if it is the gateway's; a slash at the end counts",
    ),
    "HTTP_101": Advice(
        "upgrade",
        "the answer to the upgrade lacks what belongs to one, such as the header Connection: Upgrade",
        "Have the proxy in between pass the gateway's answer as it is, or connect past it",
    ),
    "HTTP_200": Advice(
        "upgrade",
        "a web page: a proxy in between does not pass the upgrade, or this is no gateway's path",
        f"Check host, port and path of the URL; if a proxy is in between, have it pass the upgrade {_NGINX}",
    ),
    "UPGRADE_NOT_PASSED": Advice(
        "upgrade",
        "a proxy in between does not pass the upgrade to the gateway behind it",
        f"Have the proxy pass the upgrade {_NGINX}",
    ),
    "PROXY_ATTRIBUTION_REQUIRED": Advice(
        "upgrade",
        "the gateway does not take the client's address from the proxy in between",
        "Name that proxy in gateway.trustedProxies, and have it set X-Forwarded-For anew instead of adding to it",
    ),
    "HTTP_401": Advice("upgrade", "something in front of the gateway wants a login", _IDENTITY_PROXY),
    "HTTP_403": Advice(
        "upgrade",
        "something in front of the gateway refused, or the gateway does not know the proxy in between",
        "Send with headers= what a proxy in front wants, or put the proxy into the gateway's gateway.trustedProxies",
    ),
    "HTTP_404": Advice(
        "upgrade", "a web server without a gateway at this path", "Check host, port and path of the URL"
    ),
    "HTTP_429": Advice("upgrade", "something in front of the gateway limits connects", "Wait, and connect less often"),
    "HTTP_502": Advice(
        "upgrade", "a proxy is there, and no gateway behind it", "Start the gateway, or correct the proxy's target"
    ),
    "HTTP_503": Advice("upgrade", "the gateway is starting or restarting", "Try again in a moment"),
    "HTTP": Advice("upgrade", "a web server answered, not a gateway", "Check host, port and path of the URL"),
    "NO_CHALLENGE": Advice(
        "challenge",
        "a WebSocket server that did not begin as a gateway does",
        "Check that the URL is a gateway's and that it is not overloaded; timeouts=Timeouts(connect=…) allows more",
    ),
    "BAD_CHALLENGE": Advice("challenge", "the first frame is not a gateway's", "Check that the URL is a gateway's"),
    "NO_HELLO": Advice(
        "connect",
        "the gateway did not answer the connect request",
        "Look into the gateway's log: it may be overloaded; timeouts=Timeouts(connect=…) allows more",
    ),
    "BAD_HELLO": Advice(
        "connect",
        "the gateway's answer cannot be understood",
        "Upgrade openclaw-client, or report the gateway's version",
    ),
}
"""This package's names, for failures about which no gateway said anything."""

REFUSED: Final[dict[str, Advice]] = {
    codes.PROTOCOL_MISMATCH: Advice("connect", "no wire version in common", "Upgrade whichever side is older"),
    codes.CLIENT_VERSION_MISMATCH: Advice(
        "connect", "this client is too old for the gateway", "Upgrade openclaw-client"
    ),
    codes.GATEWAY_TOO_OLD: Advice(
        "connect",
        "the gateway is older than what this client supports",
        f"Upgrade the gateway to {limits.OLDEST_RELEASE_NAME} or later",
    ),
    codes.PAIRING_REQUIRED: Advice(
        "connect",
        "the device must be approved on the gateway",
        "Run the command that the error shows, or client.pair()",
    ),
    codes.RATE_LIMITED: Advice(
        "connect",
        "too many failed attempts from this address",
        "Wait until the lock-out ends, and correct the credentials before the next try",
    ),
    codes.TOKEN_MISMATCH: Advice(
        "connect", "the token is wrong", "Check the token: it must be the gateway's gateway.auth.token"
    ),
    "AUTH_TOKEN_MISSING": Advice(
        "connect", "the gateway wants a token", f"Pass token=, or set OPENCLAW_GATEWAY_TOKEN; {WHERE_IT_IS}"
    ),
    "AUTH_TOKEN_NOT_CONFIGURED": Advice(
        "connect", "the gateway has no token set", "Set gateway.auth.token on the gateway, or use its password"
    ),
    "AUTH_PASSWORD_MISMATCH": Advice(
        "connect", "the password is wrong", "Check the password: it must be the gateway's gateway.auth.password"
    ),
    "AUTH_PASSWORD_MISSING": Advice(
        "connect", "the gateway wants a password", "Pass password=, or set OPENCLAW_GATEWAY_PASSWORD"
    ),
    "AUTH_PASSWORD_NOT_CONFIGURED": Advice(
        "connect", "the gateway has no password set", "Set gateway.auth.password on the gateway, or use its token"
    ),
    codes.DEVICE_TOKEN_MISMATCH: Advice(
        "connect",
        "the device token was revoked or replaced",
        "The stored device token counts no more: connect with the shared token, or pair again",
    ),
    "AUTH_BOOTSTRAP_TOKEN_INVALID": Advice(
        "connect", "the bootstrap token is used up", "Ask for a new bootstrap token: each works once and not for long"
    ),
    codes.SCOPE_MISMATCH: Advice(
        "scopes",
        "more scopes were asked for than are approved for the device",
        "Ask for the approved scopes only, or connect with the shared token to have more approved",
    ),
    "AUTH_REQUIRED": Advice("connect", "the gateway wants credentials", "Pass token= or password="),
    "AUTH_UNAUTHORIZED": Advice(
        "connect",
        "the credentials were refused",
        "Check token and password, and the gateway's log; auth mode trusted-proxy wants its proxy's user header",
    ),
    "AUTH_TAILSCALE_IDENTITY_MISSING": Advice("connect", "the gateway wants a Tailscale identity", _TAILSCALE),
    "AUTH_TAILSCALE_PROXY_MISSING": Advice("connect", "the gateway is not reached through Tailscale Serve", _TAILSCALE),
    "AUTH_TAILSCALE_IDENTITY_MISMATCH": Advice("connect", "Tailscale knows this address as another user", _TAILSCALE),
    "AUTH_TAILSCALE_WHOIS_FAILED": Advice(
        "connect",
        "the gateway could not ask Tailscale who this is",
        "Try again; look at Tailscale on the gateway's machine",
    ),
    "AUTH_IDENTITY_HEADER_REQUIRED": Advice(
        "connect", "the gateway wants a user's header from its proxy", _IDENTITY_PROXY
    ),
    "AUTH_VERIFIED_USER_REQUIRED": Advice(
        "connect", "the gateway wants a user whom its proxy has verified", _IDENTITY_PROXY
    ),
    "AUTHENTICATED_PROFILE_UNAVAILABLE": Advice(
        "connect", "the gateway cannot load this user's profile now", "Try again in a moment"
    ),
    "DEVICE_IDENTITY_REQUIRED": Advice(
        "connect",
        "the gateway lets nobody in without a device or a secret",
        "Connect with a device identity (the default), or pass token= or password=",
    ),
    codes.SIGNATURE_INVALID: Advice(
        "connect",
        "the device's signature was refused",
        "Check that the credentials are this gateway's and that the identity file is intact",
    ),
    codes.SIGNATURE_EXPIRED: Advice(
        "connect",
        "the device's signature came too late",
        "Something between client and gateway holds frames back: look for a slow proxy",
    ),
    "DEVICE_AUTH_INVALID": Advice("connect", "the device's proof was refused", _DEVICE_FILE),
    "DEVICE_AUTH_DEVICE_ID_MISMATCH": Advice("connect", "the device's id is not that of its key", _DEVICE_FILE),
    "DEVICE_AUTH_PUBLIC_KEY_INVALID": Advice("connect", "the device's key cannot be used", _DEVICE_FILE),
    "DEVICE_AUTH_NONCE_REQUIRED": Advice("connect", "the challenge was not answered", _AGAIN),
    "DEVICE_AUTH_NONCE_MISMATCH": Advice("connect", "another challenge was answered", _AGAIN),
    "CONTROL_UI_ORIGIN_NOT_ALLOWED": Advice(
        "connect", "the Origin header is not allowed", "Send no Origin header, or allow this origin on the gateway"
    ),
    "CONTROL_UI_DEVICE_IDENTITY_REQUIRED": Advice("connect", "the gateway took this for its web page", _CONTROL_UI),
    "CONTROL_UI_BUILD_MISMATCH": Advice("connect", "the gateway took this for its web page", _CONTROL_UI),
    codes.INVALID_CONNECT: Advice(
        "connect",
        "the gateway does not understand the connect request",
        "The gateway is older or newer than this client expects: report its version",
    ),
    codes.INVALID_ROLE: Advice("connect", "the gateway does not know the role", 'Use role="operator"'),
    codes.MISSING_SCOPE: Advice(
        "scopes",
        "the connection may not do what was asked of it",
        "Ask for the scope with scopes=, and connect with a device identity",
    ),
}
"""The gateway's detail codes; the texts of releases without codes are mapped to them (`wire.codes`)."""

DECLINED: Final[dict[str, Advice]] = {
    "OVERRIDE_NOT_AUTHORIZED": Advice(
        "chat",
        "a model for one message alone is an administrator's to choose",
        "Ask for operator.admin with scopes=, or change the model of the session, for which operator.write does: "
        'client.request("sessions.patch", {"key": …, "model": …})',
    ),
    "UNEXPECTED_PROPERTY": Advice(
        "chat", "this release does not take that parameter", "Leave out what the message names, or update the gateway"
    ),
}
"""Refused messages, which gateways tell in words alone."""
_DECLINED_TEXTS: Final = {
    "overrides are not authorized": "OVERRIDE_NOT_AUTHORIZED",
    "unexpected property": "UNEXPECTED_PROPERTY",
}

CLOSED: Final[dict[int, Advice]] = {
    codes.CLOSE_NORMAL: Advice(
        None, "the gateway ended it without a reason", "Look into the gateway's log; it may be starting or restarting"
    ),
    codes.CLOSE_GOING_AWAY: Advice(
        None, "the gateway, or a proxy in between, goes away", "Connect again when it is back"
    ),
    codes.CLOSE_PROTOCOL: Advice(
        None, "one side broke the WebSocket or the gateway protocol", "Upgrade whichever side is older, and report it"
    ),
    codes.CLOSE_NO_CODE: Advice(
        None,
        "the gateway, or a proxy in between, ended it without a code",
        "Look into the gateway's and the proxy's log",
    ),
    codes.CLOSE_ABNORMAL: Advice(
        None,
        "the socket ended without a word: a crash, a network, or a proxy that cuts idle connections",
        "Look into the gateway's log, and at the idle limits of proxies in between",
    ),
    codes.CLOSE_POLICY: Advice(
        None,
        "the gateway's policy; the reason says which (`slow consumer`: this client read too slowly)",
        "Look into the gateway's log; of a slow consumer, keep handlers short and the event loop free",
    ),
    codes.CLOSE_TOO_BIG: Advice(
        None, "a message was too big", "Send less at once; history and attachments have limits"
    ),
    codes.CLOSE_FAILED: Advice(None, "the gateway failed", "Look into the gateway's log"),
    codes.CLOSE_RESTART: Advice(None, "the gateway restarts or stops", "Connect again when it is back"),
    codes.CLOSE_TRY_LATER: Advice(None, "the gateway is starting, or has too much to do", "Try again in a moment"),
    codes.CLOSE_CLIENT_TIMEOUT: Advice(
        None, "this client gave up on a silent gateway", "Look at the network, and whether the gateway is stuck"
    ),
    codes.CLOSE_REVOKED: Advice(
        None,
        "credentials changed, or the device was removed",
        "Connect again; if that is refused, correct the credentials or pair again",
    ),
}
"""WebSocket close codes, where nothing better is known."""


def advice_for(code: str | None) -> Advice | None:
    """What is known about a code; None for one that this package does not know. HTTP_418 falls back to HTTP."""
    if code is None:
        return None
    if code.startswith("HTTP_") and code not in UNREACHED:
        code = "HTTP_301" if code in ("HTTP_302", "HTTP_303", "HTTP_307", "HTTP_308") else "HTTP"
    return UNREACHED.get(code) or REFUSED.get(code)


def remedy_for_message(method: str, text: str) -> str:
    """What to do about a refused message; "" where that is not known. text: of the gateway's error."""
    if method not in ("agent", "chat.send"):
        return ""
    return next((DECLINED[name].remedy for part, name in _DECLINED_TEXTS.items() if part in text), "")


def advice_for_close(code: int | None) -> Advice | None:
    """The same for a close code; a socket that ended without one counts as 1006."""
    return CLOSED.get(codes.CLOSE_ABNORMAL if code is None else code)
