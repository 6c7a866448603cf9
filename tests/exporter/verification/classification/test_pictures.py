"""Thumbnails of disputed images: which, in what order, and how large."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mbexport.models.data.open import ImageSet
from mbexport.verification.classification.pictures import thumbnails


@pytest.fixture
def disputed(table_runner, verified, one_hot):
    """An artifact that is wrong on the given images, the first of them worst."""

    def artifact(name, *places, count=200):
        scores = np.tile(one_hot(0), (count, 1))
        for rank, place in enumerate(places):
            scores[place] = [0.0, 1 - rank / 100, 0.0]
        return verified([table_runner(name, scores)], [0] * count, reference=np.tile(one_hot(0), (count, 1)))

    return lambda name, *places: artifact(name, *places).artifacts[0]


def photos(count=200, size=(400, 200), mode="RGB"):
    return ImageSet(
        labels=np.zeros(count, np.int64),
        names=tuple(f"{place}.png" for place in range(count)),
        read=lambda place: Image.new(mode, size, place if mode == "L" else (place, 0, 0)),
    )


def test_worst_of_each_artifact_come_first_and_each_once(disputed):
    found = thumbnails([disputed("a", 5, 7, 9), disputed("b", 7), disputed("c")], photos())
    assert list(found) == ["5.png", "7.png", "9.png"]


def test_pictures_are_limited_and_shared_among_artifacts(disputed):
    artifacts = [disputed("a", *range(30)), disputed("b", *range(100, 130))]
    assert list(thumbnails(artifacts, photos(), most=4)) == ["0.png", "100.png", "1.png", "101.png"]
    assert len(thumbnails(artifacts, photos())) == 48  # 24 of each


def test_there_are_at_most_96(disputed):
    artifacts = [disputed(str(first), *range(first, first + 24)) for first in range(0, 144, 24)]
    assert len(thumbnails(artifacts, photos())) == 96


@pytest.mark.parametrize(
    ("size", "thumbnail"),
    [((400, 200), (160, 80)), ((100, 1000), (16, 160)), ((8, 8), (8, 8)), ((160, 160), (160, 160))],
)
def test_longest_side_is_160_px_and_nothing_is_enlarged(disputed, size, thumbnail):
    content = thumbnails([disputed("a", 3)], photos(size=size))["3.png"]
    with Image.open(BytesIO(content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", thumbnail)
        assert np.abs(np.asarray(image, np.int64) - [3, 0, 0]).max() <= 8  # of its colour, as JPEG has it


def test_bytes_are_the_same_each_time_and_grey_images_are_drawn_too(disputed):
    grey = photos(mode="L")
    assert thumbnails([disputed("a", 100)], grey) == thumbnails([disputed("a", 100)], grey)
