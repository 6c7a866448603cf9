"""A Swift package of images and hand-made models, the vectors for its tests, and a LiteRT that it finds."""

import functools
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import ai_edge_litert
import numpy as np
from clients.environments import HERE, run
from detector_photos import detector_model
from golden_by_hand import golden_by_hand
from PIL import Image
from sklearn.datasets import load_sample_images
from tflite_by_hand import tflite_of

from mbexport.bundles.app_model import AnyModel, AppModel, ClassifierModel, DetectorModel
from mbexport.bundles.ios.bundle import ios_files
from mbexport.calibration.affine import Affine
from mbexport.golden.vectors import Case, Expected, GoldenArtifact, GoldenInput, GoldenOutput
from mbexport.models.data.decode import decode_image
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.transparency import over_white

LIBRARY: Final = Path(ai_edge_litert.__file__).parent
HOSTILE: Final = "\"'\\ #{exit 3} \\(Settings.model) `ls` {{ name }} é\u2028猫"
_URL: Final = "https://github.com/google-ai-edge/LiteRT.git"
_PX: Final = 2
_ORIENTATION: Final = 0x0112  # Exif 2.32, table 4
_RNG: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A model that answers with its input, whose numbers are stored as `dtype`."""

    dtype: str
    channels: int = 3
    is_bgr: bool = False
    kind: str = "softmax"
    stem: str = "by hand"

    def __str__(self) -> str:
        return f"{self.dtype}-{self.channels}"

    @property
    def has_codes(self) -> bool:
        """Whether its numbers are codes with a scale."""
        return self.dtype != "float32"


KINDS: Final = (
    Kind(dtype="uint8", stem=HOSTILE),
    Kind(dtype="int8", is_bgr=True, kind="logits", stem="3 int8"),
    Kind(dtype="float32", channels=1, kind="sigmoid", stem="self"),
)


def app_model_of(kind: Kind) -> ClassifierModel:
    """What an app gets of the model: two real photos, and labels and a file name that no program may trip over."""
    classes = _PX * _PX * kind.channels
    norm = Normalization(mean=(10.5,) * kind.channels, std=(0.3,) * kind.channels, is_bgr=kind.is_bgr)
    preprocess = Preprocess(resolution=Resolution.square(_PX), channels=kind.channels, normalization=norm)
    labels = (HOSTILE, "", " two  words ", "tab\tand\r", *(f"class {at}" for at in range(4, classes)))
    file = f"{kind.stem}_{kind.dtype}.tflite"
    artifact = GoldenArtifact(
        file=file,
        sha256="0" * 64,
        format="tflite",
        precision="int8",
        input=GoldenInput(
            name="image",
            dtype=kind.dtype,
            shape=preprocess.shape,
            layout="nhwc",
            channel_order="BGR" if kind.is_bgr else "RGB",
            mean=() if kind.has_codes else norm.mean,
            std=() if kind.has_codes else norm.std,
        ),
        output=GoldenOutput(
            name="scores",
            dtype=kind.dtype,
            shape=(1, classes),
            kind=kind.kind,
            tolerance=0.0,
            spread=0.0,
            scale=0.1 if kind.has_codes else None,
            zero_point=7 if kind.has_codes else None,
        ),
    )
    files: dict[str, bytes] = {}
    shared: dict[str, Any] = {"artifact": artifact, "preprocess": preprocess, "labels": labels, "files": files}
    cases = tuple(_case(f"case_{at}", photo, **shared) for at, photo in enumerate(_photos()))
    golden = replace(
        golden_by_hand(),
        stem=kind.stem,
        classes=classes,
        licence=HOSTILE,
        preprocess=preprocess,
        artifacts=(artifact,),
        cases=cases,
    )
    affine = Affine(scale=(0.1,), zero_point=(7,), axis=None) if kind.has_codes else None
    model = tflite_of(kind.dtype, affine=affine, px=_PX, channels=kind.channels)
    return AppModel(name=golden.stem, artifact=artifact, model=model, labels=labels, golden=golden, golden_files=files)


def detector_app() -> DetectorModel:
    """The same of a detector."""
    app = detector_model((HOSTILE, "", "tab\tand\r"))
    return replace(app, name=HOSTILE, golden=replace(app.golden, stem=HOSTILE, licence=HOSTILE))


def _case(
    name: str,
    photo: Image.Image,
    *,
    artifact: GoldenArtifact,
    preprocess: Preprocess,
    labels: tuple[str, ...],
    files: dict[str, bytes],
) -> Case:
    """A photo and what the model gives back of it; the bytes go into `files`."""
    pixels = preprocess.pixels(photo)
    fed: dict[str, Any] = {
        "uint8": pixels,
        "int8": (pixels.astype(np.int16) - 128).astype(np.int8),
        "float32": preprocess.normalize(pixels),
    }
    output = fed[artifact.input.dtype].reshape(-1)
    raw, resized, answer = f"{name}/raw.rgb", f"{name}/resized.rgb", f"{name}/{artifact.file}.out"
    files |= {raw: photo.tobytes(), resized: pixels.tobytes(), answer: output.tobytes()}
    top = int(output.argmax())
    expected = Expected(output=answer, top=top, label=labels[top], score=float(output[top]))
    return Case(
        name=name,
        width=photo.width,
        height=photo.height,
        raw=raw,
        resized=resized,
        truth=None,
        expected={artifact.file: expected},
    )


@functools.cache
def _photos() -> tuple[Image.Image, ...]:
    """The photos that scikit-learn brings along, RGB of 640 x 427 pixels."""
    return tuple(Image.fromarray(photo) for photo in load_sample_images().images)


def write_package(app: AnyModel, folder: Path, litert: Path) -> None:
    """The files of the bundle, and where SwiftPM finds the stand-in for the package that it asks for."""
    for name, content in ios_files(app).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    mirror(folder, litert)


def mirror(folder: Path, litert: Path) -> None:
    """Lets SwiftPM in `folder` take the package `litert` for Google's."""
    mirrors = {"object": [{"original": _URL, "mirror": litert.as_uri()}], "version": 1}
    configuration = folder / ".swiftpm" / "configuration" / "mirrors.json"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(json.dumps(mirrors))


def write_litert(folder: Path) -> Path:
    """The stand-in for Google's package in a repository of its own: SwiftPM asks for a branch."""
    for source in sorted((HERE / "swift" / "litert").rglob("*.*")):
        if source.is_file():
            target = folder / source.relative_to(HERE / "swift" / "litert")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source.read_text().replace("@LIBRARY@", str(LIBRARY)))
    git = ["git", "-C", folder, "-c", "user.name=a test", "-c", "user.email=test@example.com"]
    run(["git", "init", "-q", "-b", "release/2.3.0", folder], is_ours=False)
    run([*git, "add", "."], is_ours=False)
    run([*git, "commit", "-qm", "A stand-in for LiteRT"], is_ours=False)
    return folder


def write_vectors(folder: Path, labels: tuple[str, ...], *, is_stretched: bool = False) -> None:
    """What Python makes of many parts of photos: turned, transparent, grey, larger and smaller."""
    folder.mkdir()
    rng = np.random.default_rng(_RNG)
    cases = [_vector(folder, f"{at:03}", rng, is_stretched=is_stretched) for at in range(200)]
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "labels.json").write_text(json.dumps(labels))
    grid = np.zeros((256, 256, 4), np.uint8)
    grid[..., 0], grid[..., 3] = np.arange(256), np.arange(256)[:, None]
    (folder / "over_white").write_bytes(np.asarray(over_white(_decoded(grid, 1)))[..., 0].tobytes())
    norm = Normalization(mean=(103.939, 116.779, 123.68), std=(1.0, 57.375, 3.0), is_bgr=True)
    shades = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 3)
    (folder / "floats").write_bytes(
        Preprocess(resolution=Resolution.square(1), normalization=norm).normalize(shades).tobytes()
    )


def _vector(folder: Path, name: str, rng: np.random.Generator, *, is_stretched: bool) -> dict[str, Any]:
    photo = np.asarray(_photos()[int(rng.integers(2))])
    height, width = (int(rng.integers(1, side + 1) ** rng.choice((0.5, 1, 1, 1))) for side in photo.shape[:2])
    has_alpha = bool(rng.integers(2))
    rgba = np.empty((height, width, 4), np.uint8)
    rgba[..., :3] = photo[-height:, -width:]
    rgba[..., 3] = rng.integers(256, size=(height, width)) if has_alpha else 255
    case = {
        "name": name,
        "width": width,
        "height": height,
        "rows": int(rng.choice((1, 2, 7, 31, 32, 33, 64, 96, 224, min(height, width)))),
        "columns": int(rng.choice((1, 2, 7, 31, 32, 33, 64, 96, 224, min(height, width)))),
        "cropFraction": float(rng.choice((1.0, 0.875, 0.875, 0.5, 1 / 3, 0.01))),
        "channels": int(rng.choice((1, 3))),
        "orientation": int(rng.integers(1, 9)),
        "hasAlpha": has_alpha,
    }
    grey = Normalization(mean=(0.0,), std=(1.0,))
    preprocess = Preprocess(
        resolution=Resolution(height_px=case["rows"], width_px=case["columns"]),
        crop_fraction=1.0 if is_stretched else case["cropFraction"],
        channels=case["channels"],
        normalization=grey,
        is_stretched=is_stretched,
    )
    (folder / f"{name}.rgba").write_bytes(rgba.tobytes())
    (folder / f"{name}.out").write_bytes(preprocess.pixels(_decoded(rgba, case["orientation"])).tobytes())
    return case


def _decoded(rgba: Any, orientation: int) -> Image.Image:
    """The pixels as a file with an orientation, read as the calibration reads files."""
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    Image.fromarray(rgba).save(stream, "PNG", exif=exif)
    return decode_image(stream.getvalue(), name="by hand")
