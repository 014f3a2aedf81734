"""The key of results kept on the device."""

from playwright.sync_api import Page


def test_the_key_is_as_strong_as_promised_and_cannot_be_read_out(module_page: Page) -> None:
    found = module_page.evaluate(
        """async () => {
            const { deriveKey, newDerivation, seal, unseal } =
                await import("/page/modules/kept/sealing.js");
            const derivation = newDerivation();
            const key = await deriveKey("correct horse", derivation);
            const bytes = new TextEncoder().encode("text");
            const [one, other] = [await seal(key, bytes, "a"), await seal(key, bytes, "a")];
            const text = (buffer) => buffer && new TextDecoder().decode(buffer);
            return {
                iterations: derivation.iterations,
                salts: derivation.salt.join() !== newDerivation().salt.join(),
                salt: derivation.salt.length,
                algorithm: key.algorithm,
                extractable: key.extractable,
                read: await crypto.subtle.exportKey("raw", key).then(() => true, () => false),
                fresh: one.iv.join() !== other.iv.join() && one.iv.length === 12,
                opened: text(await unseal(key, one, "a")),
                otherName: await unseal(key, one, "b"),
                otherIv: await unseal(key, { ...one, iv: other.iv }, "a"),
            };
        }"""
    )
    assert found == {
        "iterations": 600_000,
        "salts": True,
        "salt": 16,
        "algorithm": {"name": "AES-GCM", "length": 256},
        "extractable": False,
        "read": False,
        "fresh": True,
        "opened": "text",
        "otherName": None,
        "otherIv": None,
    }


def test_the_key_is_that_of_another_implementation(module_page: Page) -> None:
    """PBKDF2 and AES-GCM as Python's cryptography has them open what the page sealed."""
    import hashlib

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = module_page.evaluate(
        """async () => {
            const { deriveKey, seal } = await import("/page/modules/kept/sealing.js");
            const salt = Uint8Array.from({ length: 16 }, (_, at) => at);
            const key = await deriveKey("correct horse", { iterations: 600_000, salt });
            const { iv, data } = await seal(key, new TextEncoder().encode("text"), "name");
            return { iv: [...iv], data: [...new Uint8Array(data)] };
        }"""
    )
    key = hashlib.pbkdf2_hmac("sha256", b"correct horse", bytes(range(16)), 600_000)
    assert AESGCM(key).decrypt(bytes(sealed["iv"]), bytes(sealed["data"]), b"name") == b"text"
