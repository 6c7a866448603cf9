"""Golden vectors written by hand, for tests of what is made of golden vectors; no artifact was run."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from PIL import Image

from mbexport.bundles.app_model import AppModel
from mbexport.golden.vectors import FOLDER, INDEX, Case, Expected, Golden, GoldenArtifact, GoldenInput, GoldenOutput
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

MODEL = "mobilenet_v1_0.25_32_int8.tflite"
OUTPUT = f"case_0/{MODEL}.out"
LABELS = ("cat", "dog", "tree")


def golden_by_hand() -> Golden:
    """One photo of a tree, 5 x 4 pixels, for a network of 32 px and three classes."""
    return Golden(
        stem="mobilenet_v1_0.25_32",
        classes=3,
        licence="Apache-2.0",
        preprocess=Preprocess(resolution=Resolution.square(32)),
        artifacts=(
            GoldenArtifact(
                file=MODEL,
                sha256="0" * 64,
                format="tflite",
                precision="int8",
                input=GoldenInput(
                    name="image", dtype="uint8", shape=(1, 32, 32, 3), layout="nhwc", channel_order="RGB"
                ),
                output=GoldenOutput(
                    name="scores",
                    dtype="uint8",
                    shape=(1, 3),
                    kind="softmax",
                    tolerance=8.0,
                    spread=2.0,
                    scale=1 / 256,
                    zero_point=0,
                ),
            ),
        ),
        cases=(
            Case(
                name="case_0",
                width=5,
                height=4,
                raw="case_0/raw.rgb",
                resized="case_0/resized.rgb",
                truth=2,
                expected={MODEL: Expected(output=OUTPUT, top=2, label="tree", score=200 / 256)},
            ),
        ),
    )


def app_model_by_hand(*, model: bytes = b"TFL3 by hand") -> AppModel:
    """The model of an app with these vectors; the image is resized as `Preprocess` does, the output is by hand."""
    golden = golden_by_hand()
    raw = bytes(range(5 * 4 * 3))
    resized = golden.preprocess.pixels(Image.frombytes("RGB", (5, 4), raw)).tobytes()
    files = {"case_0/raw.rgb": raw, "case_0/resized.rgb": resized, OUTPUT: bytes([20, 36, 200])}
    return AppModel(
        name=golden.stem, artifact=golden.artifacts[0], model=model, labels=LABELS, golden=golden, golden_files=files
    )


def golden_files_of(stem: str, models: Mapping[str, bytes], *, px: int) -> dict[str, bytes]:
    """The golden vectors of artifacts of three classes that are called so."""
    by_hand = golden_by_hand()
    artifact, case = by_hand.artifacts[0], by_hand.cases[0]
    golden = replace(
        by_hand,
        stem=stem,
        preprocess=replace(by_hand.preprocess, resolution=Resolution.square(px)),
        artifacts=tuple(
            replace(artifact, file=name, sha256=sha256(model).hexdigest(), format=name.rsplit(".", 1)[1])
            for name, model in models.items()
        ),
        cases=(replace(case, expected=dict.fromkeys(models, case.expected[MODEL])),),
    )
    raw = bytes(range(5 * 4 * 3))
    files = {
        INDEX: golden.to_bytes(),
        case.raw: raw,
        case.resized: golden.preprocess.pixels(Image.frombytes("RGB", (5, 4), raw)).tobytes(),
        case.expected[MODEL].output: bytes([20, 36, 200]),
    }
    return {f"{FOLDER}/{name}": content for name, content in files.items()}
