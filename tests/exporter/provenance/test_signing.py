"""Signatures by keys in PEM files: `openssl` and mbexport verify each other's; any other key file is refused."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.provenance.signing import load_private_key, load_public_key, sign, verify

PKCS8, TRADITIONAL = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL
KINDS = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "RSA": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
VERIFY = {
    "Ed25519": "openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in file -sigfile file.sig",
    "P-256": "openssl dgst -sha256 -verify key.pub -signature file.sig file",
    "P-384": "openssl dgst -sha384 -verify key.pub -signature file.sig file",
    "RSA": "openssl dgst -sha256 -verify key.pub -signature file.sig file",
}
SIGN = {
    "Ed25519": "openssl pkeyutl -sign -inkey key.pem -rawin -in file -out file.sig",
    "P-256": "openssl dgst -sha256 -sign key.pem -out file.sig file",
    "P-384": "openssl dgst -sha384 -sign key.pem -out file.sig file",
    "RSA": "openssl dgst -sha256 -sign key.pem -out file.sig file",
}
# RFC 8032, section 7.1, test 2: the secret key, the message, the signature.
RFC_SECRET = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
RFC_MESSAGE = "72"
RFC_SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
SECRET = "two words"


def private(key, *, form: PrivateFormat = PKCS8, passphrase: str | None = None) -> bytes:
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, hidden)


def public(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def written(tmp_path) -> Callable[..., Path]:
    def write(content: bytes, *, name: str = "key.pem", mode: int = 0o600) -> Path:
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
        return tmp_path / name

    return write


def openssl(command: str, folder: Path, *, expected: int = 0) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == expected, done.stdout + done.stderr


def test_signature_is_that_of_the_standard(written):
    key = load_private_key(written(private(ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_SECRET)))))
    assert sign(bytes.fromhex(RFC_MESSAGE), key).hex() == RFC_SIGNATURE


@pytest.mark.parametrize("kind", KINDS)
@given(content=st.binary(max_size=40), other=st.binary(max_size=40), at=st.integers(0, 1 << 16), bit=st.integers(0, 7))
def test_signature_is_of_one_content_by_one_key(kind, content, other, at, bit):
    key = KINDS[kind]
    signature = sign(content, key)
    assert verify(content, signature, key.public_key())
    assert verify(other, signature, key.public_key()) is (content == other)
    flipped = bytearray(signature)
    flipped[at % len(signature)] ^= 1 << bit
    assert not verify(content, bytes(flipped), key.public_key())
    assert not verify(content, other, key.public_key())
    for another in KINDS.values():
        assert another is key or not verify(content, signature, another.public_key())


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_verifies_ours(written, tmp_path, kind):
    written(b"content", name="file")
    written(public(KINDS[kind]), name="key.pub")
    written(sign(b"content", KINDS[kind]), name="file.sig")
    openssl(VERIFY[kind], tmp_path)
    written(b"contend", name="file")
    openssl(VERIFY[kind], tmp_path, expected=1)


@pytest.mark.parametrize("kind", KINDS)
def test_we_verify_those_of_openssl(written, tmp_path, kind):
    written(b"content", name="file")
    written(private(KINDS[kind]))
    openssl(SIGN[kind], tmp_path)
    key = load_public_key(written(public(KINDS[kind]), name="key.pub"))
    assert verify(b"content", (tmp_path / "file.sig").read_bytes(), key)
    assert not verify(b"contend", (tmp_path / "file.sig").read_bytes(), key)


@pytest.mark.parametrize(
    "command",
    [
        "openssl genpkey -algorithm ed25519 -out key.pem",
        "openssl ecparam -name prime256v1 -genkey -out key.pem",  # writes the curve first, then the key
        "openssl ecparam -name secp384r1 -genkey -noout -out key.pem",
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
        "openssl genrsa -traditional -out key.pem 2048",
        "openssl genrsa -aes256 -passout pass:secret -out key.pem 2048",
        "openssl genrsa -traditional -aes256 -passout pass:secret -out key.pem 2048",
    ],
)
def test_keys_that_openssl_makes_are_taken(tmp_path, command):
    openssl(command, tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    openssl("openssl pkey -in key.pem -passin pass:secret -pubout -out key.pub", tmp_path)
    key = load_private_key(tmp_path / "key.pem", passphrase="secret")
    assert verify(b"x", sign(b"x", key), load_public_key(tmp_path / "key.pub"))


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL])
def test_encrypted_key_needs_its_passphrase(written, form):
    file = written(private(KINDS["P-256"], form=form, passphrase=SECRET))
    assert load_private_key(file, passphrase=SECRET).private_numbers() == KINDS["P-256"].private_numbers()
    for nothing in (None, ""):
        with pytest.raises(DataError, match=r"key.pem needs its passphrase: set MBEXPORT_SIGN_PASSPHRASE$"):
            load_private_key(file, passphrase=nothing)
    with pytest.raises(DataError, match="the passphrase is wrong or the file damaged") as error:
        load_private_key(file, passphrase="another")
    assert "another" not in str(error.value)


def test_passphrase_that_a_key_does_not_need_is_left_alone(written):
    assert load_private_key(written(private(KINDS["Ed25519"])), passphrase=SECRET)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666, 0o777])
def test_private_key_that_everybody_may_read_is_refused(written, mode):
    file = written(private(KINDS["Ed25519"]), mode=mode)
    with pytest.raises(DataError, match=r"must not be open to everybody; run: chmod 600 .*key\.pem$"):
        load_private_key(file)
    file.chmod(0o640)
    assert load_private_key(file)


def test_no_other_private_key_is_taken(written):
    legal = r"must be an Ed25519, ECDSA \(P-256 or P-384\) or RSA key of 2048 bits or more, got "
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for content, said in [
        (private(weak), f"{legal}RSA of 1024 bits"),
        (private(ec.generate_private_key(ec.SECP521R1())), f"{legal}ECDSA on secp521r1"),
        (private(ec.generate_private_key(ec.SECP256K1())), f"{legal}ECDSA on secp256k1"),
        (private(x25519.X25519PrivateKey.generate()), f"{legal}X25519PrivateKey"),
        (private(dsa.generate_private_key(key_size=2048)), f"{legal}DSAPrivateKey"),
        (private(KINDS["Ed25519"], form=PrivateFormat.OpenSSH), "private key in PEM .*, got openssh private key"),
        (public(KINDS["P-256"]), "must hold a private key in PEM .*, got public key"),
        (b"", "must hold a private key in PEM .*, got no PEM"),
        (bytes(100), "got no PEM"),
        (b"-----BEGIN CERTIFICATE-----\n", "got certificate"),
        (private(KINDS["RSA"])[:200], "cannot be read: the file is damaged"),
    ]:
        with pytest.raises(DataError, match=said) as error:
            load_private_key(written(content))
        assert "\n" not in str(error.value)


def test_no_other_public_key_is_taken(written):
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for content, said in [
        (public(weak), "must be an Ed25519, .* got RSA of 1024 bits"),
        (public(ec.generate_private_key(ec.SECP521R1())), "got ECDSA on secp521r1"),
        (public(x25519.X25519PrivateKey.generate()), "got X25519PublicKey"),
        (private(KINDS["P-256"]), "must hold a public key in PEM .*, got private key"),
        (b"ssh-ed25519 AAAA", "got no PEM"),
        (public(KINDS["RSA"])[:100], "cannot be read: the file is damaged"),
    ]:
        with pytest.raises(DataError, match=said) as error:
            load_public_key(written(content, mode=0o644))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("load", [load_private_key, load_public_key])
def test_key_must_be_a_file(tmp_path, load):
    with pytest.raises(DataError, match="must be a file, got nothing"):
        load(tmp_path / "nothing")
    with pytest.raises(DataError, match="must be a file, got a folder"):
        load(tmp_path)
