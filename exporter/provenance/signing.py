"""Sign and verify bytes with PEM keys. Signatures are detached, and `openssl` can check them.

| key | signature | `openssl` checks it with |
|---|---|---|
| Ed25519 | RFC 8032 | `openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in FILE -sigfile FILE.sig` |
| ECDSA on P-256 | with SHA-256, DER | `openssl dgst -sha256 -verify KEY.pub -signature FILE.sig FILE` |
| ECDSA on P-384 | with SHA-384, DER | `openssl dgst -sha384 -verify KEY.pub -signature FILE.sig FILE` |
| RSA, 2048 bits or more | PKCS #1 v1.5 with SHA-256 | `openssl dgst -sha256 -verify KEY.pub -signature FILE.sig FILE` |
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from mbexport.errors import DataError

PASSPHRASE_VARIABLE: Final = "MBEXPORT_SIGN_PASSPHRASE"
_LEGAL: Final = "an Ed25519, ECDSA (P-256 or P-384) or RSA key of 2048 bits or more"
_LABEL: Final = re.compile(rb"^-----BEGIN ([A-Z0-9 ]{1,40})-----", re.MULTILINE)
_MIN_RSA_BITS: Final = 2048
_MAX_KEY_BYTES: Final = 1 << 16
_CURVE_HASHES: Final[dict[str, Callable[[], HashAlgorithm]]] = {"secp256r1": SHA256, "secp384r1": SHA384}

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def load_private_key(file: Path, *, passphrase: str | None = None) -> PrivateKey:
    """The private key in a PEM file; a `passphrase` is ignored if the key needs none.

    Raises `DataError` if others than its owner and group may read the file, if the passphrase is wrong or missing, or
    for another kind of key.
    """
    pem = _pem(file, "PRIVATE KEY", what="private")
    if file.stat().st_mode & stat.S_IRWXO:
        raise DataError(f"the private key {file} must not be open to everybody; run: chmod 600 {file}")
    secret = os.fsencode(passphrase) if passphrase else None  # the bytes that the environment variable holds
    is_encrypted = b"ENCRYPTED" in pem
    if is_encrypted and secret is None:
        raise DataError(f"the private key {file} needs its passphrase: set {PASSPHRASE_VARIABLE}")
    try:
        key = load_pem_private_key(pem, password=secret if is_encrypted else None)
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
    ):  # the same for a wrong passphrase and a damaged file
        why = "the passphrase is wrong or the file damaged" if is_encrypted else "the file is damaged"
        raise DataError(f"the private key {file} cannot be read: {why}") from None
    if not isinstance(key, PrivateKey):
        raise DataError(f"the private key {file} must be {_LEGAL}, got {type(key).__name__.strip('_')}")
    _require_strength(key.public_key(), file, what="private")
    return key


def load_public_key(file: Path) -> PublicKey:
    """The public key in a PEM file. Raises `DataError` for a key that is not one of those above."""
    pem = _pem(file, "PUBLIC KEY", what="public")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise DataError(f"the public key {file} cannot be read: the file is damaged") from None
    if not isinstance(key, PublicKey):
        raise DataError(f"the public key {file} must be {_LEGAL}, got {type(key).__name__.strip('_')}")
    _require_strength(key, file, what="public")
    return key


def _pem(file: Path, label: str, *, what: str) -> bytes:
    """The content of a key file. Raises `DataError` unless it holds a PEM block whose label ends in `label`."""
    try:
        if not file.is_file():
            raise DataError(f"the {what} key {file} must be a file, got {'a folder' if file.is_dir() else 'nothing'}")
        with file.open("rb") as content:
            pem = content.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise DataError(f"the {what} key {file} cannot be read: {error.strerror}") from None
    held = [each.decode() for each in _LABEL.findall(pem)]  # `openssl ecparam -genkey` puts the curve before the key
    if not any(each.endswith(label) and not each.startswith("OPENSSH") for each in held):
        got = held[0].lower() if held else "no PEM"
        raise DataError(f"{file} must hold a {what} key in PEM ('-----BEGIN {label}-----'), got {got}")
    return pem


def _require_strength(key: PublicKey, file: Path, *, what: str) -> None:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        raise DataError(f"the {what} key {file} must be {_LEGAL}, got RSA of {key.key_size} bits")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVE_HASHES:
        raise DataError(f"the {what} key {file} must be {_LEGAL}, got ECDSA on {key.curve.name}")


def sign(content: bytes, key: PrivateKey) -> bytes:
    """The detached signature of `content`. ECDSA gives another one each time."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return key.sign(content)
        case ec.EllipticCurvePrivateKey():
            return key.sign(content, ec.ECDSA(_CURVE_HASHES[key.curve.name]()))
        case rsa.RSAPrivateKey():
            return key.sign(content, padding.PKCS1v15(), SHA256())


def verify(content: bytes, signature: bytes, key: PublicKey) -> bool:
    """Whether `signature` is one of exactly this content, made with the private key of `key`."""
    try:
        match key:
            case ed25519.Ed25519PublicKey():
                key.verify(signature, content)
            case ec.EllipticCurvePublicKey():
                key.verify(signature, content, ec.ECDSA(_CURVE_HASHES[key.curve.name]()))
            case rsa.RSAPublicKey():
                key.verify(signature, content, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
