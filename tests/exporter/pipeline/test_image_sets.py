"""Which images a run learns from, calibrates on and is verified on, and what is left out of each."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.open import DataSet, open_data
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.pipeline.image_sets import ImageSets
from mbexport.pipeline.plan import BuildPlan, Foreign, Stored, Trained
from mbexport.pipeline.stage_files import UNREADABLE

SPEC = ModelSpec(resolution=Resolution.square(32), classes=2)
TRAINED = Trained(spec=SPEC, epochs=1)
STORED = Stored(spec=SPEC, weights=Path("w.h5"))
FOREIGN = Foreign(model=Path("m.keras"))
EXPORTS = [STORED, FOREIGN]


def make_photos(root: Path, *, per_class: int) -> Path:
    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            Image.fromarray(np.full((4, 4, 3), 100 * number + i, np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.fixture
def photos(tmp_path) -> DataSet:
    """Two classes of eight photos each: six to learn from and two to test on."""
    return open_data(str(make_photos(tmp_path / "photos", per_class=8)))


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Two unlabelled pictures in one folder, and one beside it."""
    root = tmp_path / "pictures"
    (root / "more").mkdir(parents=True)
    for name in ("more/a.png", "more/b.png", "c.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(root / name)
    return root


def sources(data: DataSet | None, *, origin=TRAINED, **given) -> ImageSets:
    return ImageSets(BuildPlan(name="net", origin=origin, out=Path("out"), **given), data)


def names(images) -> set[str]:
    return {name.split("/", 1)[1] if name.startswith("pictures/") else name for name in images.names}


PICTURES = {"more/a.png", "more/b.png", "c.png"}


def test_build_learns_and_calibrates_on_one_part_and_is_verified_on_the_other(photos):
    found = sources(photos)
    train, test = photos.split(0)
    assert (found.train.names, found.test.names) == (train.names, test.names)
    assert found.calibration.names == train.names
    assert (len(train), len(test)) == (12, 4)


def test_best_epoch_is_chosen_on_the_images_that_the_user_put_aside_and_on_no_others(photos, tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        make_photos(tmp_path / "split" / part, per_class=count)
    split = sources(open_data(str(tmp_path / "split")))
    assert split.validation.names == split.test.names
    assert len(split.validation) == 4
    assert sources(photos).validation is None


@pytest.mark.parametrize("origin", EXPORTS)
def test_export_on_data_alone_keeps_the_images_to_calibrate_on_apart(photos, origin):
    found = sources(photos, origin=origin)
    train, test = photos.split(0)
    assert (found.calibration.names, found.train.names, found.test.names) == (train.names, train.names, test.names)


def test_build_calibrates_on_the_folder_that_is_given(photos, pictures):
    found = sources(photos, calibration=pictures)
    train, test = photos.split(0)
    assert (found.train.names, found.test.names) == (train.names, test.names)
    assert names(found.calibration) == PICTURES


@pytest.mark.parametrize("origin", EXPORTS)
def test_export_with_a_calibration_folder_is_verified_on_all_data(photos, pictures, origin):
    found = sources(photos, origin=origin, calibration=pictures)
    assert found.test.names == photos.evaluation(0).names
    assert len(found.test) == 16
    assert names(found.calibration) == names(found.train) == PICTURES
    assert found.is_labelled


@pytest.mark.parametrize("origin", EXPORTS)
def test_export_without_data_compares_on_the_calibration_images(pictures, origin):
    found = sources(None, origin=origin, calibration=pictures)
    assert names(found.test) == names(found.calibration) == names(found.train) == PICTURES
    assert not found.is_labelled
    assert found.is_photos
    assert found.has_files


def test_golden_images_are_test_images_unless_others_are_given(photos, pictures):
    found = sources(photos)
    assert (found.golden.names, found.is_golden_labelled) == (found.test.names, True)
    assert found.golden_fingerprint is None
    found = sources(photos, golden=pictures)
    assert (names(found.golden), found.is_golden_labelled) == (PICTURES, False)
    assert found.golden_fingerprint is not None
    assert set(found.contents()) == {"data", "golden"}
    assert found.test.names == sources(photos).test.names


def test_golden_images_are_all_read_before_any_work(photos, pictures):
    (pictures / "more" / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b\.png is not an image"):
        sources(photos, golden=pictures)
    with pytest.raises(DataError, match="golden images must lie in a folder, got"):
        sources(photos, golden=pictures / "c.png")


def test_golden_images_are_few(photos, pictures):
    for number in range(98):
        (pictures / f"{number}.png").write_bytes((pictures / "c.png").read_bytes())
    with pytest.raises(DataError, match="must hold at most 100 golden images, got 101"):
        sources(photos, golden=pictures)


def test_no_images_at_all_are_refused():
    with pytest.raises(DataError, match="give --data, --calibration or both"):
        sources(None, origin=STORED)


def test_folder_without_images_is_refused_at_once(tmp_path):
    with pytest.raises(DataError, match="holds no image"):
        sources(None, origin=STORED, calibration=tmp_path)


def test_seed_of_the_plan_decides_the_split(photos):
    assert sources(photos, seed=1).train.names == photos.split(1)[0].names != photos.split(0)[0].names


def test_digits_lie_in_no_files_unless_a_folder_is_given(pictures):
    digits = open_data("digits")
    assert not sources(digits).has_files
    assert not sources(digits).is_photos
    assert sources(digits, calibration=pictures).has_files
    assert not sources(digits, calibration=pictures).is_photos


def test_fingerprints_tell_both_kinds_of_images_apart(photos, pictures):
    of_data, of_pictures = sources(photos, calibration=pictures).fingerprints
    assert of_data == photos.fingerprint
    assert of_pictures not in ("", of_data)
    assert sources(photos).fingerprints == (of_data, of_data)
    assert sources(None, origin=STORED, calibration=pictures).fingerprints == ("", of_pictures)


def test_changed_picture_changes_the_fingerprint_of_the_pictures_only(photos, pictures):
    before = sources(photos, calibration=pictures).fingerprints
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(pictures / "c.png", compress_level=0)
    after = sources(photos, calibration=pictures).fingerprints
    assert after[0] == before[0]
    assert after[1] != before[1]


def look(found: ImageSets, folder: Path) -> Path:
    """The file of findings that a run would store."""
    (folder / UNREADABLE).write_bytes(found.look()[UNREADABLE])
    return folder / UNREADABLE


def test_what_cannot_be_read_is_left_out_of_every_set_it_is_in(photos, pictures, tmp_path):
    train, test = photos.split(0)
    for victim in (train.names[0], test.names[-1]):
        (tmp_path / "photos" / victim).write_bytes(b"")
    (pictures / "more" / "b.png").write_text("this is no picture")
    found = sources(photos, calibration=pictures, max_bad=0.2)
    found.leave_out(look(found, tmp_path))
    assert found.train.names == train.names[1:]
    assert found.test.names == test.names[:-1]
    assert names(found.calibration) == PICTURES - {"more/b.png"}
    assert found.checked == 16
    assert [name for name, _ in found.unreadable] == [train.names[0], test.names[-1], "more/b.png"]


def test_findings_of_an_earlier_run_are_applied_without_looking(photos, tmp_path):
    train, _ = photos.split(0)
    (tmp_path / UNREADABLE).write_text(
        json.dumps([{"unreadable": {"2": "it was damaged"}, "copies": {}}, {"unreadable": {}, "copies": {}}])
    )
    found = sources(photos, max_bad=0.1)
    found.leave_out(tmp_path / UNREADABLE)
    assert found.train.names == (*train.names[:2], *train.names[3:])
    assert found.unreadable == ((train.names[2], "it was damaged"),)


def test_sound_images_are_all_kept(photos, tmp_path):
    found = sources(photos)
    before = (found.train.names, found.test.names)
    found.leave_out(look(found, tmp_path))
    assert (found.train.names, found.test.names) == before
    assert (found.checked, found.unreadable) == (16, ())


@pytest.mark.parametrize(("max_bad", "is_refused"), [(1 / 16, False), (0.062, True), (0, True)])
def test_too_many_are_refused_before_anything_is_stored(photos, tmp_path, max_bad, is_refused):
    (tmp_path / "photos" / "cat" / "0.png").write_bytes(b"")
    found = sources(photos, max_bad=max_bad)
    if not is_refused:
        assert look(found, tmp_path).is_file()
        return
    with pytest.raises(DataError, match=r"^1 of 16 images \(6\.25%\) cannot be read"):
        found.look()


def test_stored_findings_are_judged_by_the_limit_of_this_run(photos, tmp_path):
    (tmp_path / "photos" / "cat" / "0.png").write_bytes(b"")
    findings = look(sources(photos, max_bad=0.1), tmp_path)
    with pytest.raises(DataError, match=r"^1 of 16 images \(6\.25%\) cannot be read"):
        sources(photos, max_bad=0.05).leave_out(findings)


# ---- parts of split data, copies, and what is left out


def split_photos(root: Path, **parts: int) -> DataSet:
    for part, count in parts.items():
        make_photos(root / part, per_class=count)
    return open_data(str(root))


def test_best_epoch_is_chosen_on_val_and_artifacts_are_verified_on_test(tmp_path):
    found = sources(split_photos(tmp_path / "split", train=3, val=2, test=4))
    assert [len(images) for images in (found.train, found.validation, found.test)] == [6, 4, 8]
    assert not found.is_validated_on_test
    found = sources(split_photos(tmp_path / "two", train=3, test=4))
    assert (found.validation, found.is_validated_on_test) == (None, False)


def test_what_cannot_be_read_is_left_out_of_the_images_to_choose_on(tmp_path):
    data = split_photos(tmp_path / "split", train=3, val=2, test=4)
    (tmp_path / "split" / "val" / "dog" / "1.png").write_bytes(b"")
    found = sources(data, max_bad=0.2)
    found.leave_out(look(found, tmp_path))
    assert found.validation.names == ("cat/0.png", "cat/1.png", "dog/0.png")
    assert found.unreadable[0][0] == "dog/1.png"


def test_copies_count_once_where_artifacts_are_verified_and_nowhere_else(photos, tmp_path):
    train, test = photos.split(0)
    for name in test.names[1:]:  # all of them show the same
        (tmp_path / "photos" / name).write_bytes((tmp_path / "photos" / test.names[0]).read_bytes())
    found = sources(photos)
    found.leave_out(look(found, tmp_path))
    assert found.test.names == test.names[:1]
    assert found.copies == tuple((name, test.names[0]) for name in test.names[1:])
    assert (found.golden.names, found.train.names, found.calibration.names) == (test.names, train.names, train.names)
    assert found.checked == 16


def test_copies_among_unlabelled_pictures_are_calibrated_on_and_count_once(pictures, tmp_path):
    found = sources(None, origin=STORED, calibration=pictures)
    found.leave_out(look(found, tmp_path))
    assert names(found.calibration) == PICTURES
    assert names(found.test) == {"c.png"}
    assert len(found.copies) == 2


def test_class_without_an_image_to_learn_from_is_refused_where_a_network_is_trained(tmp_path):
    make_photos(tmp_path / "split" / "train", per_class=2)
    make_photos(tmp_path / "split" / "val", per_class=2)
    (tmp_path / "split" / "val" / "cat").rename(tmp_path / "split" / "val" / "owl")
    data = open_data(str(tmp_path / "split"))
    assert sources(data, origin=STORED).test.labels.tolist() == [1, 1, 2, 2]
    with pytest.raises(DataError, match="class owl must have an image to learn from, got none in split"):
        _ = sources(data).train


def test_all_folders_say_what_they_left_out(photos, pictures, tmp_path):
    (pictures / "x.heic").write_bytes(b"")
    (pictures / "notes.txt").write_bytes(b"")
    (tmp_path / "photos" / "cat" / "x.heic").write_bytes(b"")
    data = open_data(str(tmp_path / "photos"))
    found = sources(data, calibration=pictures, golden=pictures).left_out
    assert (dict(found.photos), dict(found.others)) == ({".heic": 2}, {".txt": 1})  # one folder is listed once
    found = sources(data, calibration=tmp_path / "photos").left_out
    assert (dict(found.photos), dict(found.others)) == ({".heic": 1}, {})
