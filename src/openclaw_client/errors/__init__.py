"""Every error that this package raises on purpose.

::

    GatewayError
    ├── UsageError (also a ValueError)    the call cannot work as written; nothing was sent
    │   └── NotConnected                  no connect() before the call, or after disconnect()
    ├── IdentityError                     the device key or token store cannot be used
    ├── ConnectError                      no usable connection came about
    │   ├── Unreachable                   DNS, TCP, TLS or the WebSocket upgrade failed
    │   ├── HandshakeTimeout              the gateway accepted the socket and then said nothing
    │   ├── ProtocolMismatch              no wire version in common, or a gateway that is too old
    │   ├── AuthRejected                  token, password or device signature refused
    │   ├── RateLimited                   too many failed attempts; see `retry_after`
    │   ├── PairingRequired               the device waits for approval
    │   ├── MissingScope                  the connection may not do what was asked of it
    │   └── TlsPinMismatch                the certificate is not the pinned one
    ├── ConnectionLost                    the socket is gone
    │   ├── ClientClosed                  … because disconnect() was called
    │   └── OutcomeUnknown                … between sending a request and its answer
    ├── ProtocolViolation                 the gateway sent something that cannot be understood
    ├── RequestError                      one request failed
    │   ├── RequestFailed                 the gateway answered with an error
    │   │   ├── MissingScope
    │   │   ├── MethodUnavailable         … because it has no such method
    │   │   └── FileGone                  … because it has this file no more
    │   ├── RequestTimeout                no answer in time; the outcome is unknown
    │   ├── OutcomeUnknown                the socket died between sending and the answer
    │   ├── PayloadTooLarge               over a limit; nothing was sent
    │   └── FileTooLarge                  a file of an agent is over the caller's limit
    ├── RunError                          a chat run did not end with a reply
    │   ├── RunFailed                     the gateway says that it failed
    │   ├── RunTimeout                    the caller's own time limit passed; the run goes on
    │   ├── RunLost                       how it ended is not known
    │   └── RunUnknown                    the gateway knows no run of this id
    ├── JournalError                      what must survive the process cannot be written down
    └── ManagerError                      the connection manager cannot serve this user

Errors carry fields; the sentence is made from the fields, and behind it stands in brackets what was known of the
connection. They can be pickled and copied. No field that is shown in `str()` or `repr()` holds a token, a password, a
key or a signature.
"""

from openclaw_client.errors.base import (
    GatewayError,
    IdentityError,
    JournalError,
    ManagerError,
    NotConnected,
    ProtocolViolation,
    UsageError,
)
from openclaw_client.errors.connecting import (
    AuthRejected,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    HandshakeTimeout,
    PairingRequired,
    ProtocolMismatch,
    RateLimited,
    TlsPinMismatch,
    Unreachable,
)
from openclaw_client.errors.work import (
    FileGone,
    FileTooLarge,
    MethodUnavailable,
    MissingScope,
    OutcomeUnknown,
    PayloadTooLarge,
    RequestError,
    RequestFailed,
    RequestTimeout,
    RunError,
    RunFailed,
    RunLost,
    RunTimeout,
    RunUnknown,
)

__all__ = [
    "AuthRejected",
    "ClientClosed",
    "ConnectError",
    "ConnectionLost",
    "FileGone",
    "FileTooLarge",
    "GatewayError",
    "HandshakeTimeout",
    "IdentityError",
    "JournalError",
    "ManagerError",
    "MethodUnavailable",
    "MissingScope",
    "NotConnected",
    "OutcomeUnknown",
    "PairingRequired",
    "PayloadTooLarge",
    "ProtocolMismatch",
    "ProtocolViolation",
    "RateLimited",
    "RequestError",
    "RequestFailed",
    "RequestTimeout",
    "RunError",
    "RunFailed",
    "RunLost",
    "RunTimeout",
    "RunUnknown",
    "TlsPinMismatch",
    "Unreachable",
    "UsageError",
]

# Tracebacks and pickles name the place from which users import them.
for _name in __all__:
    globals()[_name].__module__ = __name__
