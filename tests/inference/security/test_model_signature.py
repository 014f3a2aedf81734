"""Signatures of versions: what the library of OpenSSF signs is accepted, and nothing else is."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from lentigo_contract.errors import UntrustedVersionError
from lentigo_contract.repository.layout import MANIFEST_NAME, SIGNATURE_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion, open_version_folder
from lentigo_inference.errors import ModelKeyError
from lentigo_inference.security.model_signature import (
    PAYLOAD_TYPE,
    ModelKeys,
    SignatureCheck,
    check_signature,
)
from lentigo_trainer.export.signing import read_model_signer, sign_version
from tests.keys import Curve, Pair, make_pair
from tests.models import publish_plain


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path / "keys")


@pytest.fixture
def signed(store: ModelStore, pair: Pair) -> Path:
    """The folder of a version that was published and then signed."""
    stored = publish_plain(store, 1)
    sign_version(stored.path, read_model_signer(pair.private))
    return stored.path


def verify(folder: Path, public: Path) -> str:
    return ModelKeys(public).verify(open_version_folder(folder))


def refused(folder: Path, public: Path) -> str:
    with pytest.raises(UntrustedVersionError) as refusal:
        verify(folder, public)
    text = str(refusal.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_what_the_library_signs_is_accepted(
    store: ModelStore, tmp_path: Path, curve: Curve
) -> None:
    pair = make_pair(tmp_path / "keys", curve)
    signer = read_model_signer(pair.private)
    folder = publish_plain(store, 1).path
    sign_version(folder, signer)
    assert verify(folder, pair.public) == signer.fingerprint


def test_the_fingerprint_is_what_openssl_and_sha256sum_give(signed: Path, pair: Pair) -> None:
    pem = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", pair.public], capture_output=True, check=True
    ).stdout
    assert verify(signed, pair.public) == hashlib.sha256(pem).hexdigest()


def test_what_openssl_makes_is_a_key(store: ModelStore, tmp_path: Path) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    options = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private)
    subprocess.run(["openssl", "genpkey", *options], check=True, capture_output=True)
    private.chmod(0o600)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    folder = publish_plain(store, 1).path
    sign_version(folder, read_model_signer(private))
    assert verify(folder, public)


def test_without_a_key_a_version_need_not_be_signed(store: ModelStore, signed: Path) -> None:
    unsigned = publish_plain(store, 2)
    assert check_signature(unsigned, None) == SignatureCheck("unsigned")
    assert check_signature(open_version_folder(signed), None) == SignatureCheck("unverified")


def test_with_a_key_the_check_tells_which_one_it_was(signed: Path, pair: Pair) -> None:
    keys = ModelKeys(pair.public)
    check = check_signature(open_version_folder(signed), keys)
    assert check == SignatureCheck("verified", keys.fingerprints[0])


def test_an_unsigned_version_is_refused(store: ModelStore, pair: Pair) -> None:
    folder = publish_plain(store, 1).path
    assert f"has no {SIGNATURE_NAME}" in refused(folder, pair.public)


def test_another_key_is_refused_by_its_fingerprint(
    signed: Path, pair: Pair, tmp_path: Path
) -> None:
    other = make_pair(tmp_path / "others")
    text = refused(signed, other.public)
    assert read_model_signer(pair.private).fingerprint in text
    assert read_model_signer(other.private).fingerprint in text


def test_while_keys_are_rotated_both_count(
    store: ModelStore, signed: Path, pair: Pair, tmp_path: Path
) -> None:
    newer = make_pair(tmp_path / "newer")
    both = tmp_path / "both.pem"
    both.write_bytes(pair.public.read_bytes() + b"\n# since May\n" + newer.public.read_bytes())
    second = publish_plain(store, 2).path
    sign_version(second, read_model_signer(newer.private))
    assert verify(signed, both) == read_model_signer(pair.private).fingerprint
    assert verify(second, both) == read_model_signer(newer.private).fingerprint


def manifest_of(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / MANIFEST_NAME).read_text())
    return document


def described_again(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, as somebody does who can write to the volume and has no key."""
    document = manifest_of(folder)
    change(document)
    (folder / MANIFEST_NAME).write_text(json.dumps(document))


def file_record(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_a_file_that_was_changed_with_its_check_sum_is_named(signed: Path, pair: Pair) -> None:
    (signed / "seed.txt").write_bytes(b"2")
    described_again(signed, lambda it: it["files"].update({"seed.txt": file_record(b"2")}))
    assert "'seed.txt' has changed since it was signed" in refused(signed, pair.public)


def test_a_file_that_was_added_with_its_check_sum_is_named(signed: Path, pair: Pair) -> None:
    (signed / "assets").mkdir()
    (signed / "assets" / "new.txt").write_bytes(b"new")
    described_again(signed, lambda it: it["files"].update({"assets/new.txt": file_record(b"new")}))
    assert "'assets/new.txt' was added" in refused(signed, pair.public)


def test_a_file_that_was_removed_with_its_check_sum_is_named(signed: Path, pair: Pair) -> None:
    (signed / "seed.txt").unlink()
    described_again(signed, lambda it: it["files"].clear())
    assert "'seed.txt' was signed, and is missing" in refused(signed, pair.public)


def test_a_manifest_that_was_changed_is_named(signed: Path, pair: Pair) -> None:
    described_again(signed, lambda it: it["thresholds"].update({"malignancy": 0.9}))
    assert f"'{MANIFEST_NAME}' has changed" in refused(signed, pair.public)


def test_white_space_in_the_manifest_counts_too(signed: Path, pair: Pair) -> None:
    with (signed / MANIFEST_NAME).open("a") as file:
        file.write("\n")
    assert f"'{MANIFEST_NAME}' has changed" in refused(signed, pair.public)


def test_the_signature_of_another_version_is_refused(
    store: ModelStore, signed: Path, pair: Pair
) -> None:
    other = publish_plain(store, 2).path
    shutil.copyfile(signed / SIGNATURE_NAME, other / SIGNATURE_NAME)
    assert "has changed since it was signed" in refused(other, pair.public)


def bundle_of(folder: Path) -> dict[str, Any]:
    bundle: dict[str, Any] = json.loads((folder / SIGNATURE_NAME).read_text())
    return bundle


def signed_again(
    folder: Path, pair: Pair, payload: bytes, payload_type: str = PAYLOAD_TYPE
) -> None:
    """Sign other content with the right key, as a program of another format would."""
    head = f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode()
    signature = pair.key.sign(head + payload, ec.ECDSA(hashes.SHA256()))
    bundle = bundle_of(folder)
    bundle["dsseEnvelope"] = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }
    (folder / SIGNATURE_NAME).write_text(json.dumps(bundle))


def payload_of(folder: Path) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(
        base64.b64decode(bundle_of(folder)["dsseEnvelope"]["payload"])
    )
    return payload


def test_what_is_signed_by_hand_in_the_same_way_is_accepted(signed: Path, pair: Pair) -> None:
    signed_again(signed, pair, json.dumps(payload_of(signed)).encode())
    assert verify(signed, pair.public)


def test_another_payload_type_is_refused(signed: Path, pair: Pair) -> None:
    payload = json.dumps(payload_of(signed)).encode()
    signed_again(signed, pair, payload, "application/json")
    assert "'application/json'" in refused(signed, pair.public)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it.update(_type="https://in-toto.io/Statement/v0.1"), "no statement"),
        (lambda it: it.update(predicateType="https://slsa.dev/provenance/v1"), "no statement"),
        (lambda it: it["predicate"]["serialization"].update(method="shards"), "no whole files"),
        (lambda it: it["predicate"]["resources"][0].update(algorithm="blake2"), "other than"),
        (lambda it: it["predicate"]["resources"].pop(), "digest of the whole"),
        (lambda it: it["subject"][0]["digest"].update(sha256="0" * 64), "digest of the whole"),
        (
            lambda it: it["predicate"]["resources"].append(it["predicate"]["resources"][0]),
            "a file twice",
        ),
        (lambda it: it["predicate"].pop("resources"), "'resources'"),
        (lambda it: it.update(subject=[]), "unpack"),
    ],
    ids=[
        "statement",
        "predicate",
        "method",
        "algorithm",
        "fewer",
        "whole",
        "twice",
        "none",
        "subject",
    ],
)
def test_another_statement_is_refused(
    signed: Path, pair: Pair, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    payload = payload_of(signed)
    change(payload)
    signed_again(signed, pair, json.dumps(payload).encode())
    assert told in refused(signed, pair.public)


def test_a_payload_that_is_changed_after_signing_is_refused(signed: Path, pair: Pair) -> None:
    bundle, payload = bundle_of(signed), payload_of(signed)
    payload["subject"][0]["name"] = "another"
    changed = base64.b64encode(json.dumps(payload).encode()).decode()
    bundle["dsseEnvelope"]["payload"] = changed
    (signed / SIGNATURE_NAME).write_text(json.dumps(bundle))
    assert "does not verify" in refused(signed, pair.public)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_bundle_that_is_cut_is_refused(signed: Path, pair: Pair, kept: float) -> None:
    content = (signed / SIGNATURE_NAME).read_bytes()
    (signed / SIGNATURE_NAME).write_bytes(content[: int(kept * len(content))])
    text = refused(signed, pair.public)
    assert f"{SIGNATURE_NAME} is no whole bundle" in text


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"mediaType": 1}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": []}',
        b"\xff\xfe",
    ],
    ids=["object", "list", "null", "nested", "type", "envelope", "bytes"],
)
def test_what_is_no_bundle_is_refused(signed: Path, pair: Pair, content: bytes) -> None:
    (signed / SIGNATURE_NAME).write_bytes(content)
    assert "is no whole bundle" in refused(signed, pair.public)


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it["dsseEnvelope"]["signatures"].clear(),
        lambda it: it["dsseEnvelope"]["signatures"].append(it["dsseEnvelope"]["signatures"][0]),
        lambda it: it["dsseEnvelope"].update(payload="@@"),
        lambda it: it["dsseEnvelope"].update(payloadType=7),
        lambda it: it.update(verificationMaterial={"certificate": {"rawBytes": ""}}),
    ],
    ids=["unsigned", "twice", "payload", "type", "certificate"],
)
def test_a_bundle_of_another_shape_is_refused(
    signed: Path, pair: Pair, change: Callable[[dict[str, Any]], object]
) -> None:
    bundle = bundle_of(signed)
    change(bundle)
    (signed / SIGNATURE_NAME).write_text(json.dumps(bundle))
    assert "is no whole bundle" in refused(signed, pair.public)


def test_a_bundle_that_names_no_key_is_tried_with_every_one(signed: Path, pair: Pair) -> None:
    bundle = bundle_of(signed)
    bundle["verificationMaterial"]["publicKey"] = {}
    (signed / SIGNATURE_NAME).write_text(json.dumps(bundle))
    assert verify(signed, pair.public)


def test_a_huge_bundle_is_not_read(signed: Path, pair: Pair) -> None:
    with (signed / SIGNATURE_NAME).open("wb") as file:
        file.truncate(2**30)
    assert "more than 4,194,304 bytes" in refused(signed, pair.public)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no public key in PEM"),
        (b"rubbish", "no public key in PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not on the curve"),
    ],
    ids=["empty", "rubbish", "damaged"],
)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(ModelKeyError, match=told):
        ModelKeys(tmp_path / "key.pem")


def test_a_key_that_is_missing_private_or_of_another_kind_is_refused(
    tmp_path: Path, pair: Pair
) -> None:
    with pytest.raises(ModelKeyError, match="cannot be read"):
        ModelKeys(tmp_path / "missing.pem")
    with pytest.raises(ModelKeyError, match="must not have it"):
        ModelKeys(pair.private)
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    (tmp_path / "key.pem").write_bytes(
        other.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    with pytest.raises(ModelKeyError, match="P-256"):
        ModelKeys(tmp_path / "key.pem")


def test_a_file_that_changes_after_it_was_verified_is_not_loaded(signed: Path, pair: Pair) -> None:
    from lentigo_contract.errors import DamagedVersionError
    from lentigo_contract.repository.unchanged import read_unchanged

    stored: StoredVersion = open_version_folder(signed)
    ModelKeys(pair.public).verify(stored)
    (signed / "seed.txt").write_bytes(b"9")
    with pytest.raises(DamagedVersionError, match=r"seed\.txt"):
        read_unchanged(stored.path, "seed.txt", stored.manifest.files["seed.txt"])


def test_the_manifest_that_is_verified_is_the_one_that_was_parsed(signed: Path, pair: Pair) -> None:
    keys, stored = ModelKeys(pair.public), open_version_folder(signed)
    described_again(signed, lambda it: it["thresholds"].update({"malignancy": 0.9}))
    # What was opened is what was signed, whatever is on the disk by now.
    assert keys.verify(stored)
    assert stored.manifest.thresholds.malignancy == 0.3


def test_a_folder_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ModelKeyError, match="is not a file"):
            ModelKeys(path)
