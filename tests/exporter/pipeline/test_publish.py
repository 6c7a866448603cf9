"""What lies in an output folder: what is delivered, what is swept away, what stays, in which order it is written."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from example_reports import of_build, of_verify
from hypothesis import given
from hypothesis import strategies as st
from manifest_by_hand import manifest_by_hand

from mbexport.artifact import labels_file, labels_in
from mbexport.pipeline.publish import Delivery, add, publish, report_files
from mbexport.provenance.manifest import FileFacts
from mbexport.provenance.read_manifest import read_manifest
from mbexport.report.content import to_bytes
from mbexport.report.junit import junit
from mbexport.report.page.render import page
from mbexport.workdir import Workdir

REPORT = to_bytes(of_verify())


def published(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".mbexport" not in path.parts
    }


def test_a_later_delivery_takes_the_place_of_an_earlier_one(tmp_path):
    report = to_bytes(of_build())
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, Delivery(made={"net.onnx": b"network"}, told=report_files(REPORT, {})))
        publish(workdir, Delivery(made={"other.onnx": b"network"}, told=report_files(report, {})))
    forms = {"report.json": report, "report.html": page(json.loads(report), {}), "junit.xml": junit(json.loads(report))}
    assert published(tmp_path / "out") == {"other.onnx": b"network", **forms}


def test_what_was_not_judged_leaves_no_earlier_verdict(tmp_path):
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, Delivery(made={}, told=report_files(REPORT, {})))
        publish(workdir, Delivery(made={"labels.txt": b"cat\n"}))
    assert published(tmp_path / "out") == {"labels.txt": b"cat\n"}


def test_a_verdict_that_verify_left_goes_too(tmp_path):
    with Workdir.open(tmp_path / "out") as workdir:
        add(workdir, {"report.json": b"{}"})
        publish(workdir, Delivery(made={}))
    assert published(tmp_path / "out") == {}


def test_files_of_the_user_stay_in_the_folder(tmp_path):
    (tmp_path / "out" / "android").mkdir(parents=True)
    (tmp_path / "out" / "android" / "notes.txt").write_bytes(b"precious")
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, Delivery(made={"android/README.md": b"read"}))
        publish(workdir, Delivery(made={}))
    assert published(tmp_path / "out") == {"android/notes.txt": b"precious"}


def test_folders_that_hold_nothing_any_more_go(tmp_path):
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, Delivery(made={"android/a/b.txt": b"b", "golden/c.txt": b"c"}))
        publish(workdir, Delivery(made={"golden/c.txt": b"c"}))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".mbexport", "golden"}


def test_what_an_earlier_delivery_elsewhere_left_is_named_by_its_manifest(tmp_path):
    (tmp_path / "out" / "ios").mkdir(parents=True)
    (tmp_path / "out" / "ios" / "Old.swift").write_bytes(b"old")
    manifest = manifest_by_hand(files={"ios/Old.swift": FileFacts.of(b"old")})
    (tmp_path / "out" / "manifest.json").write_bytes(manifest.to_bytes())
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, Delivery(made={"ios/New.swift": b"new"}))
    assert published(tmp_path / "out") == {"ios/New.swift": b"new"}


def test_the_manifest_lists_everything_and_says_what_does_not_repeat(tmp_path):
    delivery = Delivery(made={"a/net.onnx": b"abc"}, told={"report.json": b"{}"}, manifest=manifest_by_hand(files={}))
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, delivery)
    assert read_manifest(tmp_path / "out" / "manifest.json").files == {
        "a/net.onnx": FileFacts.of(b"abc"),
        "report.json": FileFacts.of(b"{}", repeats=False),
    }


def test_without_a_manifest_an_earlier_one_goes_and_somebodys_own_stays(tmp_path):
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, Delivery(made={}, manifest=manifest_by_hand(files={})))
        publish(workdir, Delivery(made={}))
        assert not (tmp_path / "out" / "manifest.json").exists()
        (tmp_path / "out" / "manifest.json").write_text("somebody's own")
        publish(workdir, Delivery(made={}))
    assert (tmp_path / "out" / "manifest.json").read_text() == "somebody's own"


def test_what_is_signed_is_the_manifest_as_it_lies_there(tmp_path):
    signed = Delivery(made={"a": b"a"}, manifest=manifest_by_hand(files={}), sign=lambda content: content[::-1])
    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, signed)
        found = published(tmp_path / "out")
        assert found["manifest.json.sig"] == found["manifest.json"][::-1]
        publish(workdir, Delivery(made={"a": b"a"}, manifest=manifest_by_hand(files={})))
    assert "manifest.json.sig" not in published(tmp_path / "out")


def test_the_manifest_comes_last_and_the_signature_of_the_old_one_goes_first(tmp_path, monkeypatch):
    written = []

    def delivery(content: bytes) -> Delivery:
        told = {"report.json": b"{" + content + b"}"}
        manifest = manifest_by_hand(files={})
        return Delivery(made={"net.onnx": content}, told=told, manifest=manifest, sign=lambda _: b"signature")

    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, delivery(b"1"))
        write = workdir.write

        def writing(name: str, content: bytes) -> Path:
            written.append((name, (tmp_path / "out" / "manifest.json.sig").exists()))
            return write(name, content)

        monkeypatch.setattr(workdir, "write", writing)
        publish(workdir, delivery(b"2"))
    names = [name for name, _ in written if not name.startswith(".mbexport")]
    assert names == ["net.onnx", "report.json", "manifest.json", "manifest.json.sig"]
    assert not any(is_signed for name, is_signed in written if name in names)


@pytest.mark.parametrize("writes", range(1, 6))
def test_who_is_killed_half_way_has_whole_files_and_a_manifest_that_no_longer_fits(tmp_path, monkeypatch, writes):
    def delivery(content: bytes) -> Delivery:
        told = {"report.json": b"{}"}
        return Delivery(made={"a": content, "b": content}, told=told, manifest=manifest_by_hand(files={}))

    left = [writes]

    def dying(name: str, content: bytes) -> Path:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return write(name, content)

    with Workdir.open(tmp_path / "out") as workdir:
        publish(workdir, delivery(b"1"))
        before, write = published(tmp_path / "out"), workdir.write
        monkeypatch.setattr(workdir, "write", dying)
        with suppress(KeyboardInterrupt):
            publish(workdir, delivery(b"2"))
        found = published(tmp_path / "out")
        assert set(found) == set(before)
        is_sound = read_manifest(tmp_path / "out" / "manifest.json").files["b"] == FileFacts.of(found["b"])
        assert is_sound is (found in (before, {**before, "a": b"2"}) or writes == 5)
        monkeypatch.setattr(workdir, "write", write)
        publish(workdir, delivery(b"2"))
    assert published(tmp_path / "out")["b"] == b"2"


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"))))
def test_classes_are_read_as_they_were_written(names):
    assert labels_in(labels_file(names)) == tuple(names)


@pytest.mark.parametrize(("names", "content"), [((), b""), (("cat", "dog"), b"cat\ndog\n")])
def test_a_class_a_line(names, content):
    assert labels_file(names) == content
