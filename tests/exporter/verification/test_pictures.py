"""Thumbnails of disputed images: which, in what order, and how large."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mbexport.models.data.open import ImageSet
from mbexport.verification.pictures import thumbnails


def named(*places: int) -> list[str]:
    return [f"{place}.png" for place in places]


def photos(count=200, size=(400, 200), mode="RGB"):
    return ImageSet(
        labels=np.zeros(count, np.int64),
        names=tuple(f"{place}.png" for place in range(count)),
        read=lambda place: Image.new(mode, size, place if mode == "L" else (place, 0, 0)),
    )


def test_worst_of_each_artifact_come_first_and_each_once():
    found = thumbnails([named(5, 7, 9), named(7), []], photos())
    assert list(found) == ["5.png", "7.png", "9.png"]


def test_pictures_are_limited_and_shared_among_artifacts():
    artifacts = [named(*range(24)), named(*range(100, 124))]
    assert list(thumbnails(artifacts, photos(), most=4)) == ["0.png", "100.png", "1.png", "101.png"]
    assert len(thumbnails(artifacts, photos())) == 48  # 24 of each


def test_there_are_at_most_96():
    artifacts = [named(*range(first, first + 24)) for first in range(0, 144, 24)]
    assert len(thumbnails(artifacts, photos())) == 96


@pytest.mark.parametrize(
    ("size", "thumbnail"),
    [((400, 200), (160, 80)), ((100, 1000), (16, 160)), ((8, 8), (8, 8)), ((160, 160), (160, 160))],
)
def test_longest_side_is_160_px_and_nothing_is_enlarged(size, thumbnail):
    content = thumbnails([named(3)], photos(size=size))["3.png"]
    with Image.open(BytesIO(content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", thumbnail)
        assert np.abs(np.asarray(image, np.int64) - [3, 0, 0]).max() <= 8  # of its colour, as JPEG has it


def test_bytes_are_the_same_each_time_and_grey_images_are_drawn_too():
    grey = photos(mode="L")
    assert thumbnails([named(100)], grey) == thumbnails([named(100)], grey)
