"""What to do where a gateway takes its users from a proxy's header and found none (`gateway.auth.mode: trusted-proxy`).

Its detail code is often no more than AUTH_UNAUTHORIZED; its reason (`details.authReason`) tells which header it missed.
"""

from __future__ import annotations

import re
from typing import Final

_HEADER = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""Only a name of this form is put into advice."""
_PREFIX, _MISSING = "trusted_proxy_", "trusted_proxy_missing_header_"
_THROUGH: Final = (
    "connect through the gateway's proxy, or send it with headers= from an address of gateway.trustedProxies"
)
_SOURCE: Final = (
    "The gateway takes users from the proxies in its gateway.trustedProxies only: connect through one of them, or add "
    "this address there"
)
_REMEDIES: Final = {
    "trusted_proxy_user_missing": "The user's header is missing, which the gateway's "
    f"gateway.auth.trustedProxy.userHeader names, such as X-Forwarded-User: {_THROUGH}",
    "trusted_proxy_user_not_allowed": "Add the header's user to the gateway's gateway.auth.trustedProxy.allowUsers",
    "trusted_proxy_untrusted_source": _SOURCE,
    "trusted_proxy_local_interface_source": _SOURCE,
    "trusted_proxy_loopback_source": "Connect through the gateway's proxy; where that runs on the gateway's machine, "
    "set gateway.auth.trustedProxy.allowLoopback there",
    "trusted_proxy_no_proxies_configured": "Name the proxy in the gateway's gateway.trustedProxies",
    "trusted_proxy_config_missing": "Set gateway.auth.trustedProxy on the gateway, with the userHeader of its proxy",
}


def trusted_proxy_remedy(reason: object) -> str:
    """The remedy for a gateway's reason; "" for one that has nothing to do with a proxy."""
    if not isinstance(reason, str) or not reason.startswith(_PREFIX):
        return ""
    header = reason.removeprefix(_MISSING)
    if header != reason and _HEADER.fullmatch(header):
        return f"The header {header} is missing: {_THROUGH}"
    return _REMEDIES.get(reason) or f"Look at the gateway's gateway.auth.trustedProxy: {_THROUGH}"
