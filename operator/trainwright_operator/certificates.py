"""The operator's certificate: a CA of its own in a Secret, renewed before it ends, and the server's certificate signed
by it.

Pods get the CA through their run's ConfigMap. The server's key never leaves this process.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlparse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trainwright_operator.cluster import Cluster
from trainwright_operator.errors import Exists, NotFound
from trainwright_operator.settings import Settings

SECRET = "trainwright-operator-ca"
CA_DAYS, SERVER_DAYS = 3650, 30
RENEW_BEFORE_DAYS = 365
"""A run holds the CA it began with for at most so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA: certificate and key as PEM."""

    certificate: bytes
    key: bytes

    @property
    def ends(self) -> datetime:
        """When it is over."""
        return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc


async def authority(cluster: Cluster, settings: Settings) -> Authority:
    """The operator's CA: from its Secret, made and kept there if it is missing or nearly over."""
    try:
        there = await cluster.get("v1", "Secret", settings.namespace, SECRET)
    except NotFound:
        there = None
    if there is not None:
        data = {name: base64.b64decode(value) for name, value in (there.get("data") or {}).items()}
        known = Authority(certificate=data["ca.crt"], key=data["ca.key"])
        if known.ends - datetime.now(UTC) > timedelta(days=RENEW_BEFORE_DAYS):
            return known
    made = make_authority(datetime.now(UTC))
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": settings.namespace},
        "type": "Opaque",
        "stringData": {"ca.crt": made.certificate.decode(), "ca.key": made.key.decode()},
    }
    if there is not None:
        await cluster.patch(manifest, {"stringData": manifest["stringData"]})
        return made
    try:
        await cluster.create(manifest)
    except Exists:
        return await authority(cluster, settings)
    return made


def make_authority(now: datetime) -> Authority:
    """A new CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trainwright-operator")])
    certificate = (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate=_pem(certificate), key=_pem_key(key))


def server_context(known: Authority, settings: Settings, now: datetime) -> ssl.SSLContext:
    """TLS for the progress server, for the host that pods are told; made anew at each start and monthly."""
    host = urlparse(settings.progress_url or "https://localhost").hostname or "localhost"
    ca = x509.load_pem_x509_certificate(known.certificate)
    ca_key = serialization.load_pem_private_key(known.key, None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    certificate = (
        _builder(name, ca.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName([_host(host)]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "server.pem"
        chain.touch(mode=0o600)
        chain.write_bytes(_pem(certificate) + _pem_key(key))
        context.load_cert_chain(chain)
    return context


def _host(host: str) -> x509.GeneralName:
    import ipaddress

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
