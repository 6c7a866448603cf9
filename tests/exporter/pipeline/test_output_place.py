"""The output folder may not lie where the next run would read it as a class or as pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbexport.errors import OutputError
from mbexport.models.data.open import open_data
from mbexport.pipeline.output_place import require_apart


def photos(root: Path) -> Path:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for index in range(2):
            Image.fromarray(np.full((4, 4, 3), index, np.uint8)).save(root / name / f"{index}.png")
    return root


@pytest.mark.parametrize("place", [".", "out", "cat", "cat/out", "dist/net", "link"])
def test_place_among_classes_is_refused(tmp_path: Path, place: str) -> None:
    data = open_data(str(photos(tmp_path / "data")))
    (tmp_path / "link").symlink_to(tmp_path / "data" / "dog")
    out = tmp_path / "link" if place == "link" else tmp_path / "data" / place
    with pytest.raises(OutputError, match=r"must not lie in .*data, whose sub-folders are classes: give another --out"):
        require_apart(out, data)


def test_place_in_a_part_of_split_data_is_refused_and_beside_the_parts_is_not(tmp_path: Path) -> None:
    for part in ("train", "val"):
        photos(tmp_path / "data" / part)
    data = open_data(str(tmp_path / "data"))
    with pytest.raises(OutputError, match=r"must not lie in .*train"):
        require_apart(tmp_path / "data" / "train" / "out", data)
    require_apart(tmp_path / "data" / "out", data)


@pytest.mark.parametrize("place", ["elsewhere", "data-out", "", "circle"])
def test_other_places_are_fine(tmp_path: Path, place: str) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")  # the folder that is made there says what is wrong
    require_apart(tmp_path / place, open_data(str(photos(tmp_path / "data"))))
    require_apart(tmp_path / place, open_data("digits"))
    require_apart(tmp_path / place, None)


def test_folder_of_pictures_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(OutputError, match="must not be a folder of images that is read"):
        require_apart(tmp_path / "other" / ".." / "pictures", None, (None, tmp_path / "pictures"))
    require_apart(tmp_path / "pictures" / "out", None, (None, tmp_path / "pictures"))
