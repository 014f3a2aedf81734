"""Signing versions, verified by the library of OpenSSF Model Signing itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.repository.layout import SIGNATURE_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion, open_version_folder
from lentigo_trainer.errors import SigningKeyError
from lentigo_trainer.export.signing import read_model_signer, sign_version
from tests.contract.versions import fill_made_version
from tests.keys import Pair, make_pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path / "keys")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def published(store: ModelStore, pair: Pair) -> StoredVersion:
    return store.publish(fill_made_version, read_model_signer(pair.private).sign)


def verify_with_the_library(folder: Path, public: Path) -> None:
    from model_signing import verifying

    config = verifying.Config().use_elliptic_key_verifier(public_key=public)
    config.verify(folder, folder / SIGNATURE_NAME)


def test_a_version_is_signed_before_it_appears(published: StoredVersion, pair: Pair) -> None:
    verify_with_the_library(published.path, pair.public)
    assert SIGNATURE_NAME not in published.manifest.files
    assert (published.path / SIGNATURE_NAME).stat().st_mode & 0o777 == 0o644
    assert open_version_folder(published.path) == published


def test_the_number_that_a_version_gets_is_signed(store: ModelStore, pair: Pair) -> None:
    (store.folder / "2").mkdir(parents=True)
    published = store.publish(fill_made_version, read_model_signer(pair.private).sign)
    assert published.version == 3
    verify_with_the_library(published.path, pair.public)


@pytest.mark.parametrize("change", ["changed", "added", "removed", "manifest"])
def test_the_library_finds_what_was_changed(
    published: StoredVersion, pair: Pair, change: str
) -> None:
    if change == "changed":
        (published.path / "saved_model.pb").write_bytes(b"changed")
    elif change == "added":
        (published.path / "added").write_bytes(b"added")
    elif change == "removed":
        (published.path / "saved_model.pb").unlink()
    else:
        with (published.path / "manifest.json").open("a") as file:
            file.write("\n")
    with pytest.raises(ValueError, match="mismatch"):
        verify_with_the_library(published.path, pair.public)


def test_a_published_version_is_signed_again_with_another_key(
    published: StoredVersion, pair: Pair, tmp_path: Path
) -> None:
    newer = make_pair(tmp_path / "newer")
    sign_version(published.path, read_model_signer(newer.private))
    verify_with_the_library(published.path, newer.public)
    with pytest.raises(ValueError, match="Key mismatch"):
        verify_with_the_library(published.path, pair.public)
    assert [path.name for path in published.path.parent.iterdir()] == ["1"]


def test_a_damaged_version_is_not_signed(store: ModelStore, pair: Pair) -> None:
    published = store.publish(fill_made_version)
    (published.path / "saved_model.pb").write_bytes(b"changed")
    with pytest.raises(DamagedVersionError):
        sign_version(published.path, read_model_signer(pair.private))
    assert not (published.path / SIGNATURE_NAME).exists()


def test_the_command_signs_and_names_the_key(store: ModelStore, pair: Pair) -> None:
    published = store.publish(fill_made_version)
    start = "from lentigo_trainer.cli.main import main; main()"
    command = [sys.executable, "-c", start, "sign", str(published.path), "--key", str(pair.private)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert read_model_signer(pair.private).fingerprint in done.stdout
    verify_with_the_library(published.path, pair.public)


def test_what_the_tool_of_the_library_signs_is_a_version_too(store: ModelStore, pair: Pair) -> None:
    tool = shutil.which("model_signing", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("the command of model-signing is not installed beside Python")
    published = store.publish(fill_made_version)
    signature = published.path / SIGNATURE_NAME
    options = ("--private_key", pair.private, "--signature", signature)
    subprocess.run([tool, "sign", "key", published.path, *options], check=True, capture_output=True)
    verify_with_the_library(published.path, pair.public)
    assert open_version_folder(published.path).version == 1


def test_a_key_that_others_can_read_does_not_sign(pair: Pair) -> None:
    pair.private.chmod(0o640)
    with pytest.raises(SigningKeyError, match="anybody could have signed"):
        read_model_signer(pair.private)


def test_a_key_that_is_missing_does_not_sign(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="openssl genpkey"):
        read_model_signer(tmp_path / "missing.key")


def test_a_public_key_does_not_sign(pair: Pair) -> None:
    pair.public.chmod(0o600)
    with pytest.raises(SigningKeyError, match="no private key"):
        read_model_signer(pair.public)


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes) -> bytes:
    protection = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )


def test_an_encrypted_key_does_not_sign(pair: Pair) -> None:
    pair.private.write_bytes(pem_of(pair.key, b"secret"))
    with pytest.raises(SigningKeyError, match="is encrypted"):
        read_model_signer(pair.private)


def test_a_key_of_another_kind_does_not_sign(pair: Pair) -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())):
        pair.private.write_bytes(pem_of(key, b""))
        with pytest.raises(SigningKeyError, match="P-256"):
            read_model_signer(pair.private)
