"""Golden vectors as values: write them to golden.json, and read them back.

The vectors themselves lie beside it as plain bytes, which any language reads: images as RGB rows from the top,
tensors as they lie in memory, little-endian.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from mbexport.documents import read_json, refusal
from mbexport.errors import OptionError
from mbexport.formats.runner import FLOAT
from mbexport.golden.form import GOLDEN, SCHEMA
from mbexport.models.preprocess import Normalization, Preprocess, preprocess_from_json, preprocess_to_json

FOLDER: Final = "golden"
INDEX: Final = "golden.json"
README: Final = "README.md"

README_TEXT: Final = """\
# Golden vectors

A few real images, and what each exported file answers to them. A unit test that replays them proves that an app
resizes, feeds and reads as this model needs it: most ports go wrong in one of these steps, and still give an answer.

## The files

`golden.json` names everything; the rest is plain bytes without headers.

- `case_N/raw.rgb`: the image, `height` rows of `width` pixels from the top left, 3 bytes each: red, green, blue.
- `case_N/resized.rgb`: what cropping and resizing must make of it, to the byte: `resolution_px` rows of as many pixels,
  `channels` bytes each.
- `case_N/<artifact>.out`: what that file answers to the resized image: one number a class, of the `dtype` of its
  `output`, little-endian.

Images with a side of more than 320 pixels were reduced to that before (Pillow, bilinear): the reduced image is the raw
one. Nothing else was done to it.

## The three steps

1. **Resize.** If `channels` is 1, make it grey: (19595 red + 38470 green + 7471 blue + 32768) >> 16. Cut out the
   central square: side = round(min(width, height) * `crop_fraction`), half to even; left = (width - side) / 2 rounded
   down, top likewise. Resize that to `resolution_px` as Pillow's `BILINEAR` does: when it reduces, each pixel is the
   mean of all that it covers, weighted by a triangle. The result must equal `resized.rgb`.
2. **Feed.** By the `dtype` of the artifact's `input`: `uint8` takes each byte as it is, `int8` takes byte - 128,
   `float32` takes (byte - `mean[c]`) / `std[c]` for channel c. With the `channel_order` BGR, put blue first before
   that; `mean` and `std` are then of blue, green, red. `layout` nchw wants all of one channel before the next, nhwc
   is in the order of the bytes. If the first number of `shape` is above 1, fill the batch with the same image.
3. **Read.** The first row of the output. No number may be further than `tolerance` from that in the `.out` file, in
   codes where the output has codes, else in scores. A score is `scale` * (code - `zero_point`), or the number itself
   where `scale` is null. `top` is the number of the best class (the lowest where several tie), `label` its name,
   `score` its score; `truth` is the right class, if it was known. The best class leads by more than twice the
   tolerance, so that it must be the same; if no image had such a lead, there is only one case, and its `top` may
   differ.

`spread` is by how much the kernels of one runtime differed here. `tolerance` is twice that, and at least 1/32 of the
output's range where activations have 8 bits, else 1/256. Within it, runtimes and processors differ; beyond, something
is fed wrongly.

## In Python

```python
import json
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

folder = Path("golden")
golden = json.loads((folder / "golden.json").read_text("utf-8"))
artifact = next(each for each in golden["artifacts"] if each["format"] == "tflite")
source, target = artifact["input"], artifact["output"]
px, channels = golden["preprocess"]["resolution_px"], golden["preprocess"]["channels"]

interpreter = Interpreter(str(folder.parent / artifact["file"]))
interpreter.allocate_tensors()
for case in golden["cases"]:
    image = np.fromfile(folder / case["resized"], np.uint8).reshape(px, px, channels)
    if source["channel_order"] == "BGR":
        image = image[:, :, ::-1]
    if source["dtype"] == "float32":
        fed = (image.astype(np.float32) - np.float32(source["mean"])) / np.float32(source["std"])
    else:
        fed = image if source["dtype"] == "uint8" else (image.astype(np.int16) - 128).astype(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.stack([fed] * source["shape"][0]))
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]

    expected = case["expected"][artifact["file"]]
    wanted = np.fromfile(folder / expected["output"], np.dtype(target["dtype"]).newbyteorder("<"))
    assert np.abs(found.astype(np.float64) - wanted).max() <= target["tolerance"]
    assert found.argmax() == expected["top"]
```

## In any other language, for an artifact that takes and gives uint8

```c
raw = read("golden/case_0/raw.rgb");               /* width * height * 3 bytes */
pixels = my_resize(raw, width, height);            /* px * px * 3 bytes */
assert(equal(pixels, read("golden/case_0/resized.rgb")));
found = run_model(pixels);                         /* one byte a class */
wanted = read("golden/case_0/<artifact>.out");
for (i = 0; i < classes; i++)
    assert(abs(found[i] - wanted[i]) <= tolerance);
assert(index_of_largest(found) == top);
```
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenInput:
    """An artifact's input: for byte b of channel c it takes b (uint8), b - 128 (int8) or (b - mean[c]) / std[c].

    The last in float32, blue first where `channel_order` is BGR; `mean` and `std` have one number for each channel
    and are empty for codes. `shape` has 1 for a batch of any size; `layout` is nhwc or nchw.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str
    channel_order: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenOutput:
    """An artifact's output: a score is scale * (code - zero_point), or the number itself where `scale` is None.

    `kind` says what scores are: softmax, sigmoid or logits. Runtimes may differ by `tolerance`, in codes where there
    are codes, else in scores; `spread` is how far the kernels of one runtime differed on such images.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: str
    tolerance: float
    spread: float
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenArtifact:
    """One exported file, as the vectors were made with it."""

    file: str
    sha256: str
    format: str
    precision: str
    input: GoldenInput
    output: GoldenOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An artifact's answer to one image: the file of its output, and the best class with its label and score.

    Of several classes that tie, `top` is the lowest. It leads by more than twice the tolerance, except in a golden.json
    with a single case, which may be of an image without a safe lead.
    """

    output: str
    top: int
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One real image: `raw` (height, width, 3) and `resized` (height, width, channels) are files of bytes.

    `truth` is the number of its class, if it is known; `expected` has an entry for each artifact, by file name. Paths
    start at the folder of golden.json.
    """

    name: str
    width: int
    height: int
    raw: str
    resized: str
    truth: int | None
    expected: dict[str, Expected]


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """All golden vectors of a run; the file names of its artifacts start with `stem`."""

    stem: str
    classes: int
    licence: str | None
    preprocess: Preprocess
    artifacts: tuple[GoldenArtifact, ...]
    cases: tuple[Case, ...]

    def to_bytes(self) -> bytes:
        """The content of golden.json."""
        content = {"schema": SCHEMA, **asdict(self), "preprocess": preprocess_to_json(self.preprocess)}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode(errors="backslashreplace")  # half of a UTF-16 pair becomes JSON's own escape


def golden_from_bytes(content: bytes) -> Golden:
    """The golden vectors that `Golden.to_bytes` wrote. Raises `DataError` for anything else."""
    source = f"{FOLDER}/{INDEX}"
    fields: dict[str, Any] = read_json(content, GOLDEN, source=source)
    del fields["schema"]
    try:
        fields["preprocess"] = preprocess_from_json(fields["preprocess"])
        fields["artifacts"] = tuple(_artifact(each) for each in fields["artifacts"])
    except OptionError as error:
        raise refusal(GOLDEN, source, error) from None
    fields["cases"] = tuple(_case(each) for each in fields["cases"])
    return Golden(**fields)


def _artifact(fields: dict[str, Any]) -> GoldenArtifact:
    source, target = fields["input"], fields["output"]
    numbers = {name: tuple(source[name]) for name in ("shape", "mean", "std")}
    if source["dtype"] == FLOAT:
        Normalization(mean=numbers["mean"], std=numbers["std"])  # raises an OptionError for what no byte becomes
    return GoldenArtifact(
        **{
            **fields,
            "input": GoldenInput(**{**source, **numbers}),
            "output": GoldenOutput(**{**target, "shape": tuple(target["shape"])}),
        }
    )


def _case(fields: dict[str, Any]) -> Case:
    expected = {name: Expected(**each) for name, each in fields["expected"].items()}
    return Case(**{**fields, "expected": expected})
