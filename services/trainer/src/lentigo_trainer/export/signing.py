"""Sign a version by OpenSSF Model Signing, with an elliptic curve key and without any network.

The signature is `model.sig` in the version's folder: a Sigstore bundle that lists the SHA-256 of
every other file, the manifest included (https://github.com/ossf/model-signing-spec). The service
checks it against the public key of LENTIGO_MODEL_KEY.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_contract.repository.layout import FILE_MODE, SIGNATURE_NAME
from lentigo_contract.repository.store import open_version_folder
from lentigo_contract.system.files import write_atomically
from lentigo_trainer.errors import SigningKeyError

_MAX_KEY_BYTES: Final = 2**14

_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")

_MAKE_ONE: Final = (
    "Make one with openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE"
)


@dataclass(frozen=True, slots=True)
class ModelSigner:
    """Signs versions with a private key.

    Attributes:
        key: file of the private key.
        fingerprint: SHA-256 of the PEM text of the public key, in hex, as signatures name it.
        sign: writes `model.sig` into the folder of a whole version.
    """

    key: Path
    fingerprint: str
    sign: Callable[[Path], None]


def read_model_signer(path: Path) -> ModelSigner:
    """Read a private key, so that a run that could not be signed does not even begin.

    Raises:
        SigningKeyError: it is missing, encrypted or on another curve, or others may read it.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only to sign
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    content = _read(path)
    try:
        key: object = serialization.load_pem_private_key(content, password=None)
    except TypeError as error:
        raise SigningKeyError(
            f"{path} is encrypted, and there is nobody to ask for its password. Decrypt it where "
            "it is safe: openssl pkey -in ENCRYPTED -out FILE"
        ) from error
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise SigningKeyError(
            f"{path} holds no private key on the curve P-256, P-384 or P-521. {_MAKE_ONE}"
        )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    fingerprint = hashlib.sha256(public).hexdigest()
    return ModelSigner(path, fingerprint, lambda folder: _sign(folder, path))


def sign_version(folder: Path, signer: ModelSigner) -> None:
    """Sign a published version, in place of a signature that it may have.

    Raises:
        VersionNotFoundError, DamagedVersionError, IncompatibleVersionError: it is not as it was
            published, so it is not signed.
        OSError: the signature cannot be written; an earlier one stays.
    """
    open_version_folder(folder)
    signer.sign(folder)


def _sign(folder: Path, key: Path) -> None:
    # The library takes a second to load, and is only for signing.
    from model_signing import hashing, signing  # noqa: PLC0415

    target = folder / SIGNATURE_NAME
    hashed = hashing.Config().set_ignored_paths(paths=[target], ignore_git_paths=False)
    signer = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(hashed)
    with tempfile.TemporaryDirectory(prefix="lentigo-") as scratch:
        written = Path(scratch) / SIGNATURE_NAME
        signer.sign(folder, written)
        # Beside the folder, in which a reader would find a file that belongs to no version.
        beside = folder.parent / f".{folder.name}-{SIGNATURE_NAME}"
        write_atomically(beside, written.read_bytes())
        beside.chmod(FILE_MODE)
        beside.replace(target)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise SigningKeyError(
            f"The key {path} cannot be read: {error.strerror}. {_MAKE_ONE}"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SigningKeyError(
            f"Other users can read or change the key {path} (mode {stat.S_IMODE(mode):04o}), so "
            f"anybody could have signed with it. {_MAKE_ONE}"
        )
    return content
