"""manifest.json is read back as it was written, and anything else is refused."""

import json
import os
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from manifest_by_hand import ABC, manifest_by_hand

from mbexport.errors import DataError
from mbexport.provenance.git import Git
from mbexport.provenance.manifest import FileFacts, Manifest, Recipe, Tool, is_inside
from mbexport.provenance.read_manifest import read_manifest

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.none() | st.booleans() | st.integers(0, 2**63) | FLOATS | NAMES | st.lists(NAMES)
MANIFESTS = st.builds(
    Manifest,
    tool=st.builds(
        lambda ours, versions, environment, code: Tool(
            versions={"mbexport": ours, **versions}, code=code, environment=environment
        ),
        NAMES,
        st.dictionaries(NAMES.filter(lambda name: name != "mbexport"), NAMES),
        st.dictionaries(NAMES, NAMES),
        HASHES,
    ),
    recipe=st.builds(Recipe, command=NAMES, options=st.dictionaries(NAMES, VALUES)),
    inputs=st.just({}),
    files=st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join).filter(is_inside),
        st.builds(FileFacts, sha256=HASHES, size_bytes=st.integers(0, 2**63), repeats=st.booleans()),
    ),
    git=st.none() | st.builds(Git, commit=HASHES | HASHES.map(lambda text: text[:40]), dirty=st.booleans()),
    verdict=st.none()
    | st.fixed_dictionaries(
        {
            "passed": st.booleans(),
            "strict": st.booleans(),
            "gates": st.dictionaries(NAMES, st.sampled_from(["pass", "fail", "undecided"])),
        }
    ),
)


@given(MANIFESTS)
@example(manifest_by_hand(recipe=Recipe(command="build", options={"data": "photos"}, inputs=("data",))))
@example(manifest_by_hand(inputs={}, recipe=Recipe(command="build", options={"data": os.fsdecode(b"\xff")})))
def test_what_was_written_is_read_back(tmp_path_factory, manifest):
    file = tmp_path_factory.getbasetemp() / "manifest.json"
    file.write_bytes(manifest.to_bytes())
    assert read_manifest(file) == manifest


FILE = {"sha256": ABC, "size_bytes": 3}
SOUND = json.loads(manifest_by_hand().to_bytes())
NOT_ONE = [
    (b"", "is not a manifest"),
    (b"\xff", "is not a manifest"),
    (b"[" * 100_000, "is not a manifest"),
    (b"[]", r"it must be an object, got \[\]"),
    (b"{}", "'tool'|'schema'"),
    (b"null", "it must be an object, got null"),
    ({"schema": 3}, "must be of schema 2, got 3: a later mbexport made it"),
    ({"schema": True}, "schema must be a whole number, got true"),
    ({"schema": 0}, "schema must be at least 1, got 0"),
    ({"tool": {**SOUND["tool"], "name": "other"}}, r"tool\.name must be mbexport, got .other"),
    ({"tool": {**SOUND["tool"], "libraries": {"numpy": 2}}}, r"libraries\.numpy must be text, got 2"),
    ({"options": []}, r"options must be an object, got \[\]"),
    (
        {"inputs": {"data": {"name": "photos", "fingerprint": "abc"}}},
        r"data\.fingerprint must match .*, got .abc",
    ),
    ({"inputs": {"data": {"name": "photos"}}}, "'fingerprint'"),
    ({"inputs": {"dater": SOUND["inputs"]["data"]}}, "inputs must be options, got dater"),
    ({"schema": 1, "files": {"a/net.onnx": FILE}}, "must be names without a folder, got a/net.onnx"),
    ({"files": {"../net.onnx": FILE}}, r"must have relative paths .*, got '\.\./net\.onnx'"),
    ({"files": {"a\nb": FILE}}, r"must have relative paths .*, got 'a\\nb'"),
    (b'{"schema": 2, "schema": 2}', "each name must be there once, got schema again"),
    ({"files": {"net.onnx": {**SOUND["files"]["net.onnx"], "repeats": 0}}}, "repeats must be true or false, got 0"),
    ({"files": {"net.onnx": {"sha256": ABC, "size_bytes": -1}}}, "size_bytes must be at least 0, got -1"),
    ({"git": {"commit": "c0de", "dirty": True}}, r"git\.commit must match .*, got .c0de"),
    ({"git": {"commit": ABC, "dirty": None}}, r"git\.dirty must be true or false, got null"),
    ({"git": False}, "git must be an object or null, got false"),
    ({"verdict": {"passed": True, "gates": {}}}, "'strict'"),
    (
        {"verdict": {"passed": True, "strict": True, "gates": {"speed": "fine"}}},
        "speed must be one of fail, undecided, pass, got .fine",
    ),
    (
        {"code\x1b[2J": 1, "inputs": {"a\x1b[2J\n" * 99: SOUND["inputs"]["data"]}},
        r"inputs must be options, got a\\x1b\[2J\\na",
    ),
    ({"files": {"net.onnx": "abc"}}, r"files\.net\.onnx must be an object, got .abc"),
    ({"files": {"net.onnx": {"sha256": ABC.upper(), "size_bytes": 3}}}, "sha256 must match"),
    ({"files": {"net.onnx": {"sha256": ABC, "size_bytes": "3"}}}, "size_bytes must be a whole number, got .3"),
]


@pytest.mark.parametrize(("content", "said"), NOT_ONE, ids=[said[:40] for _, said in NOT_ONE])
def test_what_is_no_manifest_is_refused_in_one_line_that_says_why(tmp_path, content, said):
    file = tmp_path / "manifest.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps({**SOUND, **content}).encode())
    with pytest.raises(DataError, match=said) as error:
        read_manifest(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_manifest_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"the manifest .*none.json cannot be read: No such file"):
        read_manifest(tmp_path / "none.json")


def test_manifest_of_schema_1_is_read_as_it_was(tmp_path):
    told = {**SOUND, "schema": 1, "files": {"net\\2.onnx": {"sha256": ABC, "size_bytes": 3}}}
    del told["git"], told["verdict"]
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    files = {"net\\2.onnx": FileFacts(sha256=ABC, size_bytes=3, repeats=True)}
    recipe = Recipe(command="build", options={"alpha": 0.5, "data": "photos"}, inputs=("data",))
    assert read_manifest(tmp_path / "manifest.json") == manifest_by_hand(files=files, recipe=recipe)


@given(st.integers(0, len(manifest_by_hand().to_bytes()) - 1), st.integers(0, 255))
def test_damaged_manifest_is_a_data_error_or_another_manifest(tmp_path_factory, at, byte):
    content = bytearray(manifest_by_hand().to_bytes())
    content[at] = byte
    file = tmp_path_factory.getbasetemp() / "damaged.json"
    file.write_bytes(content)
    with suppress(DataError):
        assert isinstance(read_manifest(file), Manifest)
