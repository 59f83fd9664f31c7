"""A TLS server in front of a gateway: certificates made on the spot, and every byte that comes after the handshake."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_FOR_SIGNING = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 on disk, as `load_cert_chain` wants it."""

    path: Path
    der: bytes
    fingerprint: str

    @classmethod
    def make(cls, folder: Path, name: str, *, expired: bool = False, named: bool = True) -> Certificate:
        """named: whether it has a subject alternative name; the gateway's own generated one has none."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"openclaw {name}")])
        today = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - 30 * day)
            .not_valid_after(today - day if expired else today + 30 * day)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if named:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        made = builder.sign(key, hashes.SHA256())
        path = folder / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        return cls(path, made.public_bytes(serialization.Encoding.DER), made.fingerprint(hashes.SHA256()).hex())

    @classmethod
    def issued(cls, folder: Path, name: str, *, standard: bool = True) -> tuple[Certificate, Path]:
        """A certificate for 127.0.0.1 that a private authority signed, and the authority's own in a PEM file.

        standard: whether the authority's says what its key is for, as RFC 5280 asks.
        """
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (f"{name} CA", name)]
        made = []
        for at, (key, subject) in enumerate(zip(keys, names, strict=True)):
            builder = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(names[0])
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - day)
                .not_valid_after(now + 30 * day)
                .add_extension(x509.BasicConstraints(ca=not at, path_length=None), critical=True)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            )
            if at:
                address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
                builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
            elif standard:
                builder = builder.add_extension(_FOR_SIGNING, critical=True)
            made.append(builder.sign(keys[0], hashes.SHA256()))
        authority, leaf = made
        path, authority_path = folder / f"{name}.pem", folder / f"{name}-ca.pem"
        authority_path.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        private = keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
        der = leaf.public_bytes(serialization.Encoding.DER)
        return cls(path, der, leaf.fingerprint(hashes.SHA256()).hex()), authority_path

    def context(self) -> ssl.SSLContext:
        """The server's side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context


class TlsRelay:
    """Ends TLS on loopback and passes the bytes on to a gateway.

    certificates: what the first, second, … handshake is shown; the last one for all that follow. handshakes counts
    those begun, received holds everything that clients sent inside TLS.
    """

    def __init__(self, gateway_url: str, *certificates: Certificate) -> None:
        parts = urlsplit(gateway_url)
        self._target = (parts.hostname, parts.port)
        self._contexts = [certificate.context() for certificate in certificates]
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.handshakes = 0
        self.received = bytearray()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        first = self._contexts[0]
        # Called for clients that name no server as well, and before a certificate is chosen.
        first.sni_callback = self._choose
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=first)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _choose(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        tls.context = self._contexts[min(self.handshakes, len(self._contexts) - 1)]
        self.handshakes += 1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(there[1])
        for source, drain, record in ((reader, there[1], self.received), (there[0], writer, None)):
            task = asyncio.create_task(self._pass_on(source, drain, record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, source: asyncio.StreamReader, drain: asyncio.StreamWriter, record: bytearray | None
    ) -> None:
        try:
            while data := await source.read(65536):
                if record is not None:
                    record += data
                drain.write(data)
                await drain.drain()
        except (ConnectionError, ssl.SSLError):
            # Cut by the other side; the other direction ends the same way.
            return
        finally:
            drain.transport.abort()
