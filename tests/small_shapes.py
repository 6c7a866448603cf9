"""Photos of coloured rectangles with their boxes, and the finished build of a detector of them that tests share."""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import boxes_by_hand
import numpy as np
from boxes_by_hand import Photo, voc_xml
from command_line import run_in_its_own_process
from PIL import Image
from small_build import ROOT, fingerprint, kept

SIDE: Final = 96
COLOURS: Final = {"blue": (40, 60, 230), "red": (230, 50, 40)}
PARTS: Final = {"train": 64, "val": 12, "test": 32}  # how many photos there are
OPTIONS: Final = (
    *("--task", "detect", "--alpha", "0.25", "--resolution", str(SIDE)),
    *("--epochs", "60", "--int8", "--raw-heads", "--keras", "--no-latency"),
)
_SOURCES: Final = (Path(__file__), Path(boxes_by_hand.__file__))
_FOLDER: Final = ROOT / "build" / "tests" / "shapes"
_EXIT_GATE_FAILED: Final = 1  # the artifacts were made: so few photos decide little


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The `weights` that the training begins with, the folder of `photos`, and that of the finished `build`."""

    weights: Path
    photos: Path
    build: Path

    def file(self, kind: str) -> Path:
        """The artifact whose name ends in `kind`, such as `int8.onnx`."""
        (path,) = self.build.glob(f"*_{kind}")
        return path


def small_shapes(weights: Path) -> Shapes:
    """The build in `build/tests`, which is made again when code, libraries, the photos or the weights have changed."""

    def make(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        made = _in(folder, weights)
        write_shapes(made.photos)
        code, errors = build_shapes(made, made.build)
        assert code in (0, _EXIT_GATE_FAILED), errors

    return _in(kept(_FOLDER, fingerprint(OPTIONS, [*_SOURCES, weights]), make), weights)


def build_shapes(shapes: Shapes, out: Path) -> tuple[int, str]:
    """Build a detector of the photos in the folder `out`: the exit code, and what was said."""
    given = ("--weights", shapes.weights, "--data", shapes.photos, "--out", out, "--cache", "none")
    done = run_in_its_own_process("build", *OPTIONS, *given)
    return done.returncode, done.stderr


def write_shapes(root: Path) -> None:
    """Pascal VOC with parts to learn from, to choose on and to test on."""
    lists = root / "ImageSets" / "Main"
    for folder in (root / "Annotations", root / "JPEGImages", lists):
        folder.mkdir(parents=True)
    for photo, pixels in _all_drawn():
        (root / "Annotations" / f"{photo.name}.xml").write_text(voc_xml(photo))
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{photo.name}.png")
    for part in PARTS:
        (lists / f"{part}.txt").write_text("".join(f"{photo.name}\n" for photo in photos_of(part)))


def photos_of(part: str) -> list[Photo]:
    """The photos of a part, and where their rectangles lie."""
    return [photo for photo, _ in _all_drawn() if photo.part == part]


@cache
def _all_drawn() -> tuple[tuple[Photo, np.ndarray], ...]:
    rng = np.random.default_rng(0)
    return tuple(_drawn(rng, f"{part}_{number}", part) for part, count in PARTS.items() for number in range(count))


def _in(folder: Path, weights: Path) -> Shapes:
    return Shapes(weights=weights, photos=folder / "shapes", build=folder / "out")


def _drawn(rng: np.random.Generator, name: str, part: str) -> tuple[Photo, np.ndarray]:
    """A noisy grey photo with one or two coloured rectangles side by side, and where they lie."""
    pixels = rng.normal(128, 20, (SIDE, SIDE, 3))
    boxes = []
    for place in range(rng.integers(1, 3)):
        kind = sorted(COLOURS)[rng.integers(2)]
        width, height = rng.integers(26, 44, 2).tolist()
        left, top = 48 * place + int(rng.integers(49 - width)), int(rng.integers(SIDE - height))
        pixels[top : top + height, left : left + width] = COLOURS[kind]
        boxes.append((kind, left, top, left + width, top + height))
    photo = Photo(name=name, boxes=boxes, size=(SIDE, SIDE), part=part)
    return photo, np.clip(pixels, 0, 255).astype(np.uint8)
