"""A node's answer beside this machine's: what is refused, and in which words; what is only said."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError, OutputError
from mbexport.sweep import handshake, ray_connection, ray_nodes, ray_task
from mbexport.sweep.handshake import Facts, Shared
from mbexport.sweep.ray_connection import connection

_HERE = Facts(
    version="0.1.0",
    code="c0de" * 16,
    python="3.11.7",
    libraries={"numpy": "2.4.6", "onnx": "1.23.2"},
    user=1000,
    nonce="a" * 64,
    data="da7a" * 16,
    secret="5ea1" * 16,
    cpu="A processor",
    flags=["avx2", "fma"],
    variables={},
)
_SHARED = Shared(out=Path("/shared/sweep"), data="/shared/photos")


def _refusal(**changed: object) -> str:
    with pytest.raises(OptionError) as refused:
        handshake.require_alike("worker-1", replace(_HERE, **changed), _HERE, _SHARED)
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_a_node_like_this_machine_is_taken_and_nothing_said():
    handshake.require_alike("worker-1", _HERE, _HERE, _SHARED)
    assert handshake.warnings("worker-1", _HERE, _HERE) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"python": "3.12.1"}, "runs Python 3.12.1, expected 3.11.7"),
        (
            {"code": "f00d" * 16},
            "has another mbexport, 0.1.0 with code f00df00df00d, expected 0.1.0 with code c0dec0",
        ),
        ({"libraries": {"numpy": "2.4.6"}}, "has onnx None, expected 1.23.2; install the same versions"),
        ({"user": 0}, "runs as user id 0, expected 1000; start Ray as the same user everywhere"),
        ({"nonce": ""}, "got no file where this machine has just written one; /shared/sweep must be storage that all"),
        ({"nonce": "b" * 64}, "must see the files of --out, got bbbb"),
        (
            {"data": "none: no such folder: /shared/photos"},
            "sees other data, none: no such folder: /shared/photos, ",
        ),
        ({"secret": "f00d" * 16}, "must have this machine's cache secret, got another one; start Ray with the same MB"),
        ({"secret": "none: MBEXPORT_CACHE_SECRET must have"}, "got none: MBEXPORT_CACHE_SECRET must have"),
    ],
)
def test_a_difference_is_refused_in_one_line_that_names_the_node(changed, words):
    refusal = _refusal(**changed)
    assert refusal.startswith("--address: node worker-1 ")
    assert words in refusal
    assert "\n" not in refusal


def test_no_seal_is_shown():
    refusal = _refusal(secret="f00d" * 16)
    assert "f00d" not in refusal
    assert _HERE.secret not in refusal


@given(st.sampled_from(["python", "code", "nonce", "data", "secret"]), st.text(min_size=1, max_size=80))
def test_whatever_a_node_says_instead_it_is_refused(name, other):
    if getattr(_HERE, name) != other:
        with pytest.raises(OptionError):
            handshake.require_alike("worker-1", replace(_HERE, **{name: other}), _HERE, _SHARED)


def test_another_processor_and_variables_are_said_and_no_more():
    other = replace(_HERE, cpu="Another", flags=["avx2"], variables={"OMP_NUM_THREADS": "4"})
    handshake.require_alike("worker-1", other, _HERE, _SHARED)
    assert handshake.warnings("worker-1", other, _HERE) == [
        "node worker-1 has another processor, Another instead of A processor: its files may differ in last bits",
        "node worker-1 has processor features avx2, here avx2 fma: its files may differ in last bits",
        "node worker-1 has OMP_NUM_THREADS 4, here it is unset: its files may differ in last bits",
    ]


def test_a_process_of_this_machine_answers_as_this_one_does(tmp_path):
    with handshake.question(Shared(out=tmp_path / "sweep", data="digits")) as asked:
        command = [sys.executable, "-P", "-m", "mbexport.sweep.handshake"]
        done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
        facts = handshake.facts_of(done.stdout)
        assert facts == handshake.answer(asked)
        assert facts.nonce == (tmp_path / "sweep" / json.loads(asked)["nonce"]).read_text()
    assert list((tmp_path / "sweep").iterdir()) == []
    assert len(facts.nonce) == len(facts.secret) == len(facts.data) == 64


def test_another_secret_gives_another_seal_and_a_short_one_is_said(tmp_path, monkeypatch):
    with handshake.question(Shared(out=tmp_path)) as asked:
        ours = handshake.answer(asked)
        monkeypatch.setenv("MBEXPORT_CACHE_SECRET", "another secret of another user's machine")
        theirs = handshake.answer(asked)
        monkeypatch.setenv("MBEXPORT_CACHE_SECRET", "short")
        assert handshake.answer(asked).secret.startswith("none: MBEXPORT_CACHE_SECRET must have at least 32")
    assert theirs.secret != ours.secret
    assert replace(theirs, secret=ours.secret) == ours


def test_other_data_gives_another_fingerprint_and_none_says_why(tmp_path):
    with handshake.question(Shared(out=tmp_path, data=str(tmp_path / "photos"))) as asked:
        assert handshake.answer(asked).data.startswith("none: ")
    with handshake.question(Shared(out=tmp_path)) as asked:
        assert handshake.answer(asked).data == ""


def test_a_file_that_is_not_seen_and_a_folder_that_is_none(tmp_path):
    with handshake.question(Shared(out=tmp_path)) as asked:
        (tmp_path / json.loads(asked)["nonce"]).unlink()
        assert handshake.answer(asked).nonce == ""
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="must be a folder"), handshake.question(Shared(out=tmp_path / "file")):
        pass


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({**asdict(_HERE), "more": 1})])
def test_an_answer_of_another_version_is_none(text):
    with pytest.raises(ValueError, match=r"."):
        handshake.facts_of(text)


@pytest.mark.parametrize("address", ["", "head", "head:0", "head:65536", ":6379", "ray://head:10001", "a b:6379"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(OptionError, match="--address must be HOST:PORT of a Ray cluster, got "):
        connection(address).__enter__()


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(ray_connection.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"^--address needs ray: pip install 'mbexport\[sweep\]'$"):
        connection("head:6379").__enter__()


def test_a_token_is_used_where_there_is_one_unless_the_user_says_otherwise(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "RAY_AUTH_MODE" not in ray_connection._variables()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("f" * 64)
    assert ray_connection._variables()["RAY_AUTH_MODE"] == "token"
    assert not any("ffff" in value for value in ray_connection._variables().values())
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert "RAY_AUTH_MODE" not in ray_connection._variables()


def test_what_ray_adds_to_an_environment_is_left_out():
    rays = {"RAY_JOB_ID": "1", "RAY_AUTH_TOKEN": "f" * 64, "SPT_NOENV": "1"}
    assert ray_task.without_rays({"PATH": "/bin", "RAYON_NUM_THREADS": "2", "OMP_NUM_THREADS": "4", **rays}) == {
        "PATH": "/bin",
        "RAYON_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "4",
    }


def test_a_node_without_the_package_is_told_what_to_install():
    said = "System error: No module named 'mbexport'\ntraceback: Traceback (most recent call last):\n  ..."
    assert ray_nodes._why_silent(said) == (
        "must have mbexport installed where its Ray is, got no module mbexport: pip install 'mbexport[sweep]'"
    )
    assert ray_nodes._why_silent("ValueError: x\n") == "did not answer: ValueError: x"
