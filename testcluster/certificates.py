"""The certificates, keys and kubeconfigs of one test cluster: a throw-away authority, and what it vouches for.

In: a folder, and the addresses that the API server answers at. Out: PEM files in that folder; kubeconfigs carry theirs
inside, so that they can be moved. Everything is valid for thirty days and lies in a folder that only its owner reads.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=30)


class Authority:
    """A certificate authority in a folder: `ca.crt` is its certificate, its key is never written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("testcluster", ())
        certificate = _builder(self._name, self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self, file: str, common_name: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Write FILE.crt and FILE.key for a user of these groups, or a server with these addresses; return both."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = _builder(_name(common_name, groups), self._name, key.public_key()).add_extension(
            x509.ExtendedKeyUsage(usages), critical=False
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
        certificate = self._folder / f"{file}.crt"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return certificate, _write_key(self._folder / f"{file}.key", key)


def write_signing_key(folder: Path, file: str) -> tuple[Path, Path]:
    """Write the key pair that signs tokens of ServiceAccounts; return the public and the private file."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = folder / f"{file}.pub"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public, _write_key(folder / f"{file}.key", key)


def write_kubeconfig(
    path: Path, server: str, authority: Path, *, certificate: tuple[Path, Path] | None = None, token: str = ""
) -> Path:
    """Write the kubeconfig of a user who has a certificate and key, or a bearer token."""
    user = {"token": token}
    if certificate is not None:
        user = {"client-certificate-data": _inline(certificate[0]), "client-key-data": _inline(certificate[1])}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testcluster",
        "clusters": [
            {"name": "testcluster", "cluster": {"server": server, "certificate-authority-data": _inline(authority)}}
        ],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "testcluster", "context": {"cluster": "testcluster", "user": "user"}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
    return path


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
    )


def _name(common_name: str, groups: Sequence[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
