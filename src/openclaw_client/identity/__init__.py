"""Who this device is: its key, the bytes it signs, and where key and device tokens are kept.

Knows files and Ed25519. Does not know connections: it is handed a challenge and hands back a proof. Importing it reads
no file and loads no cryptography; both happen when a store or an identity is first used.
"""

from openclaw_client.identity.device import DeviceIdentity, default_platform
from openclaw_client.identity.files import FileIdentityStore, default_identity_path
from openclaw_client.identity.payload import prove, signature_payload
from openclaw_client.identity.store import (
    DeviceToken,
    IdentityStore,
    MemoryIdentityStore,
    SecretIdentityStore,
    gateway_scope,
    token_to_store,
)

__all__ = [
    "DeviceIdentity",
    "DeviceToken",
    "FileIdentityStore",
    "IdentityStore",
    "MemoryIdentityStore",
    "SecretIdentityStore",
    "default_identity_path",
    "default_platform",
    "gateway_scope",
    "prove",
    "signature_payload",
    "token_to_store",
]
