"""What a report says of files that were no images, could not be read, or were copies, and what is warned of."""

import json
from pathlib import Path

import pytest
from report_schema import objections

from mbexport.models.data.left_out import LeftOut, PassedOver
from mbexport.report.images import copies_json, left_out_json
from mbexport.report.warnings import image_warnings

EXAMPLE = json.loads(Path(__file__).with_name("example_report.json").read_bytes())
FOUND = LeftOut.of(
    [
        PassedOver(name="rose/0.heic", reason="it is HEIC", is_photo=True),
        PassedOver(name="rose/1.heic", reason="it is HEIC", is_photo=True),
        PassedOver(name="rose/a", reason="it is hidden", is_photo=True, is_folder=True),
        PassedOver(name="rose/notes.txt", reason="it is no image"),
    ]
)


def test_left_out_files_by_hand() -> None:
    assert left_out_json(FOUND) == {
        "photos": {".heic": 2, "folder": 1},
        "others": {".txt": 1},
        "listed": [
            {"file": "rose/0.heic", "reason": "it is HEIC"},
            {"file": "rose/1.heic", "reason": "it is HEIC"},
            {"file": "rose/a", "reason": "it is hidden"},
            {"file": "rose/notes.txt", "reason": "it is no image"},
        ],
    }


def test_photos_that_were_left_out_and_copies_are_warned_of() -> None:
    data = {"left_out": left_out_json(FOUND), "copies": copies_json([("a/1.png", "a/0.png"), ("a/2.png", "a/0.png")])}
    assert image_warnings(data) == [
        "what looks like photos was left out: 2 .heic, 1 folder, the first rose/0.heic: it is HEIC; report.json "
        "lists it",
        "2 test images are copies and do not count, the first a/1.png, the same picture as a/0.png; "
        "report.json lists them",
    ]


@pytest.mark.parametrize(
    "data",
    [
        {},  # a report of an earlier version
        {"left_out": left_out_json(LeftOut()), "copies": copies_json(())},
        {"left_out": left_out_json(LeftOut.of([PassedOver(name="notes.txt", reason="it is no image")]))},
    ],
)
def test_nothing_is_warned_of_where_nothing_is_missing(data) -> None:
    assert image_warnings(data) == []


def test_long_lists_of_copies_are_cut() -> None:
    found = copies_json([(str(number), "first") for number in range(1500)])
    assert (found["count"], len(found["listed"])) == (1500, 1000)


def test_report_with_them_follows_the_schema() -> None:
    told = {"left_out": left_out_json(FOUND), "copies": copies_json([("a/1.png", "a/0.png")])}
    assert not objections({**EXAMPLE, "data": {**EXAMPLE["data"], **told}})
    wrong = {"left_out": {**told["left_out"], "photos": {".heic": 0}}}
    assert objections({**EXAMPLE, "data": {**EXAMPLE["data"], **wrong}})
