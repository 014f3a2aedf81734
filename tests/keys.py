"""Key pairs to sign versions with."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

Curve = type[ec.EllipticCurve]


@dataclass(frozen=True)
class Pair:
    """A key pair in two PEM files."""

    private: Path
    public: Path
    key: ec.EllipticCurvePrivateKey


def make_pair(folder: Path, curve: Curve = ec.SECP256R1) -> Pair:
    """Make a key pair in a folder of its own, the private file for its user alone."""
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(curve())
    private, public = folder / "model.key", folder / "model.pub"
    private.touch(0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return Pair(private, public, key)
