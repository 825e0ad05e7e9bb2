"""Signatures, verified by dkimpy, which has no part in making them."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.email.dkim import Signer
from keepers.channels.email.mime import SenderIdentity, compose
from keepers.channels.email.verp import Verp
from keepers.model.errors import NotFoundError, UserError
from keepers.model.message import Content
from posting import NOW, SECRET, message

IDENTITY = SenderIdentity("Shop <hello@shop.example>", Verp(SECRET, "bounce.shop.example"))


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


RSA = pem(rsa.generate_private_key(65537, 2048))
ED25519 = pem(ed25519.Ed25519PrivateKey.generate())


class _Nacl:
    """The one thing of PyNaCl that dkimpy asks for, over cryptography, so that its verifier can do Ed25519."""

    class VerifyKey:
        def __init__(self, key: bytes, encoder: object) -> None:
            self.key = ed25519.Ed25519PublicKey.from_public_bytes(b64decode(key))

        def verify(self, data: bytes, signature: bytes) -> None:
            self.key.verify(signature, data)


@pytest.fixture(autouse=True)
def _ed25519_for_dkimpy(monkeypatch: pytest.MonkeyPatch) -> None:
    nacl = SimpleNamespace(
        signing=SimpleNamespace(VerifyKey=_Nacl.VerifyKey),
        encoding=SimpleNamespace(Base64Encoder=None),
        exceptions=SimpleNamespace(BadSignatureError=InvalidSignature, ValueError=ValueError),
    )
    monkeypatch.setattr(dkim, "nacl", nacl, raising=False)


def verified(data: bytes, signer: Signer) -> bool:
    """Whether dkimpy accepts it, with the TXT record the signer names."""
    name, record = signer.dns_record()

    def lookup(wanted: bytes, timeout: int = 5) -> bytes:
        assert wanted.decode().removesuffix(".") == name
        return record.encode()

    return bool(dkim.DKIM(data).verify(dnsfunc=lookup))


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_dkimpy_accepts_the_signature_and_no_changed_mail(key: bytes) -> None:
    signer = Signer("shop.example", "k1", key)
    data = signer.signed(compose(message(), IDENTITY, NOW).data, NOW)
    assert verified(data, signer)
    for old, new in (
        (b"opaque-part", b"other-part"),
        (b"newsletter", b"newsletters"),
        (b"=D0", b"=D1"),
        (b"0J", b"0K"),
    ):
        changed = data.replace(old, new)
        with suppress(dkim.ValidationError):
            assert changed == data or not verified(changed, signer)


@pytest.mark.parametrize(
    "name", [b"From", b"Subject", b"To", b"Reply-To", b"List-Unsubscribe", b"List-Unsubscribe-Post"]
)
def test_nobody_adds_a_second_header_of_weight(name: bytes) -> None:
    signer = Signer("shop.example", "k1", RSA)
    data = signer.signed(compose(message(), IDENTITY, NOW).data, NOW)
    head, _, body = data.partition(b"\r\n\r\n")
    for forged in (name + b": <https://evil.example/>\r\n" + data, head + b"\r\n" + name + b": x\r\n\r\n" + body):
        assert not verified(forged, signer)


def test_both_unsubscribe_headers_are_covered_as_rfc_8058_demands() -> None:
    header = Signer("shop.example", "k1", RSA).header(compose(message(), IDENTITY, NOW).data, NOW).decode()
    (listed,) = re.findall(r"\sh=([^;]+);", header)
    names = re.sub(r"\s", "", listed).split(":")
    for name in ("from", "subject", "list-unsubscribe", "list-unsubscribe-post"):
        assert names.count(name) == 2, f"{name} is signed once more than it occurs"
    assert all(len(line) <= 78 for line in header.split("\r\n"))


@given(st.text(max_size=400), st.text(max_size=60))
def test_any_body_and_subject_verify(body: str, subject: str) -> None:
    signer = Signer("shop.example", "k1", ED25519)
    content = Content(subject=subject, text=(body or "x") + " \t \n\n\n", html=body)
    assert verified(signer.signed(compose(message(content=content), IDENTITY, NOW).data, NOW), signer)


def test_a_relay_may_refold_and_respace() -> None:
    signer = Signer("shop.example", "k1", RSA)
    data = signer.signed(compose(message(), IDENTITY, NOW).data, NOW)
    refolded = data.replace(b"Auto-Submitted: ", b"auto-submitted:\r\n\t ").replace(b"\r\n boundary", b"\t boundary")
    assert refolded != data
    assert verified(refolded + b"\r\n\r\n", signer)


def test_a_bare_ed25519_seed_is_a_key_too(tmp_path: Path) -> None:
    seed = b64encode(bytes(range(32)))
    (tmp_path / "key").write_bytes(seed + b"\n")
    signer = Signer.from_file("shop.example", "k1", tmp_path / "key")
    assert verified(signer.signed(compose(message(), IDENTITY, NOW).data, NOW), signer)


def test_a_key_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="keepers dkim"):
        Signer.from_file("shop.example", "k1", tmp_path / "missing.pem")
    for bad in (b"nonsense", pem(ec.generate_private_key(ec.SECP256R1())), b"-----BEGIN PRIVATE KEY-----\nxx\n"):
        with pytest.raises(UserError):
            Signer("shop.example", "k1", bad)


def test_a_domain_beyond_ascii_signs_in_its_ascii_form() -> None:
    assert Signer("пример.рф", "k1", RSA).dns_record()[0] == "k1._domainkey.xn--e1afmkfd.xn--p1ai"
