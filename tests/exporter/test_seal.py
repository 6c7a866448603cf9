"""What a user's secret sealed counts for that user and that purpose alone; the secret is made once and kept well."""

import hashlib
import hmac
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport import seal as seals
from mbexport.errors import OptionError
from mbexport.seal import SECRET_VARIABLE, fields_of, is_sealed, seal, sealed_json, why_not_kept

SECRET = "0123456789abcdef" * 2


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A user's state folder, and no secret in the environment."""
    monkeypatch.delenv(SECRET_VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    seals._stored.cache_clear()
    yield tmp_path / "mbexport"
    seals._stored.cache_clear()


def test_a_seal_by_hand(monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    assert seal("stage train", b"abc") == hmac.new(SECRET.encode(), b"stage train\0abc", hashlib.sha256).digest()


@given(st.binary(max_size=20), st.text(max_size=5), st.text(max_size=5))
def test_a_seal_is_of_its_content_and_purpose(content, purpose, other):
    made = seal(purpose, content)
    assert is_sealed(purpose, content, made)
    assert not is_sealed(purpose, content + b"x", made)
    assert not is_sealed(purpose, content, made[:-1])
    assert (other == purpose) == is_sealed(other, content, made)


def test_another_secret_is_another_user(monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    content = sealed_json("x", {"a": 1})
    assert fields_of("x", content) == {"a": 1}
    monkeypatch.setenv(SECRET_VARIABLE, SECRET[::-1])
    with pytest.raises(ValueError, match="another seal"):
        fields_of("x", content)


FIELDS = st.dictionaries(
    st.text(max_size=3),
    st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
)


@given(FIELDS, FIELDS)
def test_sealed_fields_come_back_and_changed_ones_do_not(fields, other):
    assert fields_of("x", sealed_json("x", fields)) == fields
    stolen = json.loads(sealed_json("x", fields))["seal"]
    if other != fields:
        with pytest.raises(ValueError, match="another seal"):
            fields_of("x", json.dumps({**other, "seal": stolen}).encode())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"3", b"{}", b'{"seal": 3}', b'{"seal": "x"}', b'{"seal":""}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_what_holds_no_seal_is_a_value_error(content):
    with pytest.raises(ValueError):  # noqa: PT011  # the reason is of no use to anybody
        fields_of("x", content)


def test_a_secret_that_can_be_guessed_is_refused(monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, "secret")
    with pytest.raises(OptionError, match="MBEXPORT_CACHE_SECRET must have at least 32 characters, got 6"):
        seal("x", b"")


def test_the_secret_is_made_once_and_nobody_else_may_read_it(at_home):
    first = seal("x", b"")
    seals._stored.cache_clear()
    assert seal("x", b"") == first
    state = (at_home / "cache-secret").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_size, stat.S_IMODE(at_home.stat().st_mode)) == (0o600, 32, 0o700)
    assert why_not_kept() is None


@pytest.mark.parametrize(
    "damage",
    [lambda file: os.truncate(file, 7), lambda file: file.chmod(0o644), lambda file: (file.unlink(), os.mkfifo(file))],
)
def test_a_secret_that_is_damaged_or_that_others_may_read_is_made_again(at_home, damage):
    first = seal("x", b"")
    damage(at_home / "cache-secret")
    seals._stored.cache_clear()
    second = seal("x", b"")
    assert second != first
    seals._stored.cache_clear()
    assert seal("x", b"") == second
    assert {path.name for path in at_home.iterdir()} == {"cache-secret", "lock"}


def test_many_at_once_agree_on_one_secret(at_home):
    def secret(_number: int) -> bytes:
        return seals._kept(at_home)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(secret, range(8)))) == 1


@pytest.mark.parametrize("how", ["others may write", "a file", "a link"])
def test_a_place_that_cannot_keep_a_secret_gives_one_for_this_process(at_home, how):
    at_home.parent.mkdir(exist_ok=True)
    if how == "a file":
        at_home.write_bytes(b"")
    else:
        at_home.mkdir()
        at_home.chmod(0o777 if how == "others may write" else 0o700)
    if how == "a link":
        (at_home / "cache-secret").symlink_to(at_home.parent / "target")
        (at_home.parent / "target").write_bytes(bytes(32))
        assert seal("x", b"") != hmac.digest(bytes(32), b"x\0", "sha256")
        assert (at_home.parent / "target").read_bytes() == bytes(32)
        return
    first = seal("x", b"")
    assert seal("x", b"") == first
    assert str(at_home) in why_not_kept()
    seals._stored.cache_clear()
    assert seal("x", b"") != first
