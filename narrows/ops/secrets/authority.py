"""The stack's own certificate authority, and the certificate that Redis shows. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from narrows.contract.errors import SecretError

_LIFE: Final = timedelta(days=3650)
_RENEW_BEFORE: Final = timedelta(days=365)
# a camera whose clock begins years ago must not be locked out
_BEGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SIGNS: Final = x509.KeyUsage(True, False, False, False, False, True, True, False, False)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that signs others, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def new(cls, now: datetime) -> Authority:
        """One that lasts ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _named("the authority of a Narrows stack")
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = _begun(name, name, key, now).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_SIGNS, True).add_extension(identifier, False)
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def parse(cls, certificate: bytes, key: bytes) -> Authority:
        """From two PEM files.

        Raises:
            SecretError: they are none, or do not belong together.
        """
        try:
            found, secret = x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None)
        except (ValueError, TypeError):
            raise SecretError("ca.pem and ca.key are no authority's certificate and key") from None
        if not isinstance(secret, ec.EllipticCurvePrivateKey) or secret.public_key() != found.public_key():
            raise SecretError("ca.key is not the key of ca.pem")
        return cls(found, secret)

    @property
    def certificate_pem(self) -> bytes:
        """What whoever connects checks Redis's certificate with."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key, not encrypted."""
        return _key_pem(self.key)

    def server(self, names: Iterable[str], now: datetime) -> tuple[bytes, bytes]:
        """A server's certificate for these names and addresses, and its key, both PEM.

        Raises:
            SecretError: one is neither a host name nor an address.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = _begun(_named("redis"), self.certificate.subject, key, now)
        for extension in (
            _alternatives(names),
            x509.BasicConstraints(ca=False, path_length=None),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own),
        ):
            builder = builder.add_extension(extension, isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM), _key_pem(key)

    def vouches(self, certificate: bytes, names: Iterable[str], now: datetime) -> bool:
        """Whether a server's certificate is this authority's, for exactly these names, and good for another year."""
        try:
            found = x509.load_pem_x509_certificate(certificate)
            found.verify_directly_issued_by(self.certificate)
            alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        return set(alternatives) == set(_alternatives(names)) and found.not_valid_after_utc - now > _RENEW_BEFORE


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(now + _LIFE)
    )


def _alternatives(names: Iterable[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general(name) for name in sorted(set(names))])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError:
        raise SecretError(f"{name!r} is neither a host name nor an address") from None


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
