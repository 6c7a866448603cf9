"""A forger who exchanges a file and its line in the manifest is found out by the other files."""

import hashlib
import io
import json
import zipfile

import pytest
from delivered_by_hand import AAR, MODEL, contents_by_hand, deliver, listing, with_proof
from hypothesis import given
from hypothesis import strategies as st

from mbexport.bundles.files import zip_bytes
from mbexport.provenance.check import check

CONTENTS = with_proof(contents_by_hand())
FORGED = b"TFL3 forged "
FORGED_HASH = hashlib.sha256(FORGED).hexdigest()


def disagreements(folder, **changed: bytes | None) -> list[str]:
    """The lines on a folder where `changed` came instead, or went, and the manifest lists what there is."""
    files = {**CONTENTS, **changed}
    deliver(folder, {name: content for name, content in files.items() if content is not None})
    return [each.line for each in check(folder, None)]


def about(lines: list[str]) -> set[str]:
    return {line.split(": got ")[0].split(maxsplit=1)[1] for line in lines}


def test_exchanged_artifact_is_found_in_everything_that_tells_of_it(tmp_path):
    lines = disagreements(tmp_path, **{MODEL: FORGED})
    assert all(line.startswith("disagrees ") for line in lines)
    assert about(lines) == {
        *("golden/golden.json", "report.json", "sbom.cdx.json", "provenance.intoto.json"),
        *("android/assets/net.tflite", "ios/Resources/net.tflite", f"{AAR}!assets/net.tflite"),
    }
    right = hashlib.sha256(CONTENTS[MODEL]).hexdigest()
    assert f"disagrees  report.json: got {MODEL} with sha256 {right}, expected sha256 {FORGED_HASH}" in lines


def test_every_file_that_repeats_is_a_subject(tmp_path):
    for name in sorted(CONTENTS):
        if name.endswith((".json", ".md5", ".sha1", ".sha256", ".sha512", ".aar", ".zip")):
            continue
        assert "provenance.intoto.json" in about(disagreements(tmp_path, **{name: CONTENTS[name] + b" "}))


def test_file_that_was_added_and_listed_is_no_subject_and_no_component(tmp_path):
    lines = disagreements(tmp_path, **{"more.onnx": b"1", "ios/more": b"2"})
    expected = "expected all that was made"
    assert lines == [
        f"disagrees  sbom.cdx.json: got nothing of more.onnx, {expected}",
        f"disagrees  provenance.intoto.json: got nothing of ios/more, {expected}",
        f"disagrees  provenance.intoto.json: got nothing of more.onnx, {expected}",
        "disagrees  net-ios.zip: got ios/more 0 times, expected 1 times",
    ]


def test_bundles_may_be_made_again_of_what_the_bill_of_materials_tells_of(tmp_path):
    """But the statement is of all that was made."""
    gone = {name: None for name in CONTENTS if name.startswith("ios/")}
    lines = disagreements(tmp_path, **gone, **{"net-ios.zip": None, "net-web.zip": zip_bytes({})})
    assert about(lines) == {"provenance.intoto.json"}


def test_file_that_was_removed_is_missed_by_the_documents(tmp_path):
    lines = disagreements(tmp_path, **{"labels.txt": None})
    assert about(lines) == {"sbom.cdx.json", "provenance.intoto.json"}
    assert all(line.endswith(", expected a file that is listed") for line in lines)


@pytest.mark.parametrize("told", [{"passed": False}, {"strict": True}])
def test_verdict_is_that_of_the_report(tmp_path, told):
    report = json.dumps({**json.loads(CONTENTS["report.json"]), **told}).encode()
    lines = disagreements(tmp_path, **{"report.json": report})
    assert [line for line in lines if " report.json: got the verdict {" in line]


@pytest.mark.parametrize("name", ["golden/golden.json", "report.json", "sbom.cdx.json", "provenance.intoto.json"])
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"[" * 100_000, b'{"artifacts": 1, "components": [[]], "subject": 2}']
)
def test_document_that_cannot_be_read_is_a_failure(tmp_path, name, content):
    lines = disagreements(tmp_path, **{name: content})
    assert [line for line in lines if line.startswith(f"unreadable {name}: got ")]


def in_zip(name: str, change) -> bytes:
    """The zip `name` of the folder with other files in it."""
    with zipfile.ZipFile(io.BytesIO(CONTENTS[name])) as archive:
        return zip_bytes(change({each: archive.read(each) for each in archive.namelist()}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: {**files, "more": b""}, "got ios/more 1 times, expected 0 times"),
        (lambda files: {"Package.swift": files["Package.swift"]}, "got ios/Resources/net.tflite 0 times, expected 1"),
        (
            lambda files: {**files, "Package.swift": b""},
            "got ios/Package.swift with sha256 e3b0c44298fc1c149afbf4c8996",
        ),
        (lambda files: {**files, "Package.swift": bytes(1 << 24)}, "got a larger ios/Package.swift, expected sha256"),
    ],
)
def test_zip_holds_just_what_its_folder_holds(tmp_path, change, said):
    lines = disagreements(tmp_path, **{"net-ios.zip": in_zip("net-ios.zip", change)})
    assert [line for line in lines if line.startswith("disagrees  net-ios.zip: ") and said in line]


def test_names_in_a_zip_may_begin_with_the_folder(tmp_path):
    inner = in_zip("net-ios.zip", lambda files: {f"ios/{name}": content for name, content in files.items()})
    assert about(disagreements(tmp_path, **{"net-ios.zip": inner})) == {"provenance.intoto.json"}


def test_name_that_is_twice_in_a_zip_is_found(tmp_path):
    buffer = io.BytesIO(CONTENTS["net-ios.zip"])
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("Package.swift", b"other")
    lines = disagreements(tmp_path, **{"net-ios.zip": buffer.getvalue()})
    assert [line for line in lines if " net-ios.zip: " in line] == [
        "disagrees  net-ios.zip: got ios/Package.swift 2 times, expected 1 times"
    ]


def test_name_in_a_zip_may_be_empty(tmp_path):
    """`ZipInfo.is_dir` of Python 3.11 fails for one."""
    changed = io.BytesIO(CONTENTS["net-ios.zip"])
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"1")
    lines = disagreements(tmp_path, **{"net-ios.zip": changed.getvalue()})
    assert "disagrees  net-ios.zip: got ios/ 1 times, expected 0 times" in lines


@given(st.sampled_from(["net-ios.zip", AAR]), st.integers(0, 1 << 12), st.binary(min_size=1, max_size=4))
def test_damaged_zip_is_found_or_holds_the_same(tmp_path_factory, name, at, damage):
    damaged = bytearray(CONTENTS[name])
    at %= len(damaged)
    damaged[at : at + len(damage)] = damage
    lines = disagreements(tmp_path_factory.getbasetemp() / "damaged", **{name: bytes(damaged)})
    assert bool(lines) is (damaged != CONTENTS[name])


@pytest.mark.parametrize("name", ["net-ios.zip", AAR])
@pytest.mark.parametrize("content", [b"", b"no zip", CONTENTS["net-ios.zip"][:-30]])
def test_what_is_no_zip_is_a_failure(tmp_path, name, content):
    lines = disagreements(tmp_path, **{name: content})
    assert [line for line in lines if line.startswith(f"unreadable {name}: got ")]


def test_library_holds_one_model_which_is_an_artifact(tmp_path):
    model = CONTENTS[MODEL]
    for files, said in [
        ({}, f"disagrees  {AAR}: got 0 models, expected one"),
        ({"a.tflite": model, "b.tflite": model}, f"disagrees  {AAR}: got 2 models, expected one"),
        (
            {"a.tflite": FORGED},
            f"disagrees  {AAR}!a.tflite: got a model with sha256 {FORGED_HASH}, expected one of the",
        ),
        ({"a.tflite": FORGED * 99}, f"disagrees  {AAR}!a.tflite: got a larger model, expected one of the artifacts"),
    ]:
        lines = disagreements(tmp_path, **{AAR: zip_bytes(files)})
        assert [line for line in lines if line.startswith(said)]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_checksums_are_those_of_the_file(tmp_path, algorithm):
    name = f"{AAR}.{algorithm}"
    wrong = hashlib.new(algorithm, b"another").hexdigest()
    right = CONTENTS[name].decode()
    lines = disagreements(tmp_path, **{name: wrong.encode()})
    assert f"disagrees  {name}: got {wrong}, expected {right} of {AAR}" in lines
    named = f"{right}  net-1.0.aar\n".encode()  # as `sha256sum` writes it
    assert name not in about(disagreements(tmp_path, **{name: named}))
    assert name in about(disagreements(tmp_path, **{name: b""}))


def test_checksum_of_nothing_is_a_failure(tmp_path):
    lines = disagreements(tmp_path, **{"android/more.sha1": b"0" * 40})
    assert "disagrees  android/more.sha1: got a checksum of nothing, expected android/more to be listed" in lines


def test_folder_without_documents_and_bundles_is_only_what_its_manifest_lists(tmp_path):
    contents = {"net.onnx": b"1", "labels.txt": b"a\nb\n"}
    deliver(tmp_path, contents)
    assert check(tmp_path, None) == ()
    assert set(listing(contents).files) == set(contents)


def test_what_was_compiled_for_a_chip_is_an_artifact_and_not_a_copy(tmp_path):
    lines = disagreements(tmp_path, **{"npu/net_int8_qualcomm-sm8650.tflite": b"compiled", "more/net.tflite": b"other"})
    assert not any(line.startswith("disagrees  npu/") for line in lines)
    assert any(line.startswith("disagrees  more/net.tflite: got a model") for line in lines)
    assert any("got nothing of npu/net_int8_qualcomm-sm8650.tflite" in line and "sbom" in line for line in lines)
