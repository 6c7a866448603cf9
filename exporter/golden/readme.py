"""Write the README of golden vectors: how anybody replays them, in the shape and the channels of this network."""

from string import Template
from typing import Final

from mbexport.models.channels import CHANNELS
from mbexport.models.preprocess import Preprocess

_FEED: Final = """\
By the `dtype` of the artifact's `input`: `uint8` takes each byte as it is, `int8` takes byte - 128,
   `float32` takes (byte - `mean[c]`) / `std[c]` for channel c. With the `channel_order` BGR, put blue first before
   that; `mean` and `std` are then of blue, green, red. `layout` nchw wants all of one channel before the next, nhwc
   is in the order of the bytes. If the first number of `shape` is above 1, fill the batch with the same image."""
# In Python: `fed` becomes the input of the interpreter.
_FED: Final = Template("""\
    image = np.fromfile(folder / case["resized"], np.uint8).reshape($shape, channels)
    if source["channel_order"] == "BGR":
        image = image[:, :, ::-1]
    if source["dtype"] == "float32":
        fed = (image.astype(np.float32) - np.float32(source["mean"])) / np.float32(source["std"])
    else:
        fed = image if source["dtype"] == "uint8" else (image.astype(np.int16) - 128).astype(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.stack([fed] * source["shape"][0]))""")
_TEXT: Final = Template("""\
# Golden vectors

A few real images, and what each exported file answers to them. A unit test that replays them proves that an app
resizes, feeds and reads as this model needs it: most ports go wrong in one of these steps, and still give an answer.

## The files

`golden.json` names everything; the rest is plain bytes without headers.

- `case_N/raw.$raw`: the image, `height` rows of `width` pixels from the top left, $raw_bytes.
- `case_N/resized.$raw`: what cropping and resizing must make of it, to the byte: $rows,
  `channels` bytes each.
- `case_N/<artifact>.out`: what that file answers to the resized image: one number a class, of the `dtype` of its
  `output`, little-endian.

Images with a side of more than 320 pixels were reduced to that before (Pillow, bilinear): the reduced image is the raw
one. Nothing else was done to it.

## The three steps

1. **Resize.** $resize The result must equal `resized.$raw`.
2. **Feed.** $feed
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
$sides

interpreter = Interpreter(str(folder.parent / artifact["file"]))
interpreter.allocate_tensors()
for case in golden["cases"]:
$fed
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]

    expected = case["expected"][artifact["file"]]
    wanted = np.fromfile(folder / expected["output"], np.dtype(target["dtype"]).newbyteorder("<"))
    assert np.abs(found.astype(np.float64) - wanted).max() <= target["tolerance"]
    assert found.argmax() == expected["top"]
```

## In any other language, for an artifact that takes and gives uint8

```c
raw = read("golden/case_0/raw.$raw");$pad              /* width * height * $depth bytes */
pixels = my_resize(raw, width, height);            /* $size * $made bytes */
assert(equal(pixels, read("golden/case_0/resized.$raw")));
found = run_model(pixels);                         /* one byte a class */
wanted = read("golden/case_0/<artifact>.out");
for (i = 0; i < classes; i++)
    assert(abs(found[i] - wanted[i]) <= tolerance);
assert(index_of_largest(found) == top);
```
""")
GREY: Final = "make it grey: (19595 red + 38470 green + 7471 blue + 32768) >> 16."
_SQUARE: Final = f"""\
If `channels` is 1, {GREY} Cut out the
   central square: side = round(min(width, height) * `crop_fraction`), half to even; left = (width - side) / 2 rounded
   down, top likewise."""
_RESIZED: Final = """\
 Resize that to `resolution_px` as Pillow's `BILINEAR` does: when it reduces, each pixel is the
   mean of all that it covers, weighted by a triangle."""
RESIZED_BY_STEPS: Final = """\
 Resize that to W columns, and the result to H rows, each time to whole bytes, as Pillow's `BILINEAR` does: when
   it reduces, each pixel is the mean of all that it covers, weighted by a triangle."""
# The formula of `Preprocess.crop_box`.
_RECTANGLE: Final = f"""\
If `channels` is 1 or 2, {GREY}
   Cut out the central part of the input's shape, H x W (height x width). If width * H >= height * W: rows =
   round(height * `crop_fraction`), columns = round(rows * (W / H)); else columns = round(width * `crop_fraction`),
   rows = round(columns * (H / W)); in double precision, half to even, at least 1. Left = (width - columns) / 2 rounded
   down, top likewise."""
OWN_CHANNELS: Final = " Each channel by itself, alpha too: colours are not weighted by it."


def readme_text(preprocess: Preprocess) -> str:
    """The README of golden vectors for a network that is fed by `preprocess`."""
    resolution, kind = preprocess.resolution, CHANNELS[preprocess.channels]
    is_square = resolution.is_square and not kind.has_alpha
    resize = _SQUARE + _RESIZED if is_square else _RECTANGLE + RESIZED_BY_STEPS
    return _TEXT.substitute(words_of(preprocess), resize=resize + (OWN_CHANNELS if kind.has_alpha else ""))


def words_of(preprocess: Preprocess) -> dict[str, str]:
    """What the page calls files and sizes, and how its examples feed a file, whatever that answers."""
    resolution, kind = preprocess.resolution, CHANNELS[preprocess.channels]
    depth = 4 if kind.has_alpha else 3
    name = 'golden["preprocess"]'
    sides = f'px, channels = {name}["resolution_px"], {name}["channels"]'
    if not resolution.is_square:
        sides = f'height, width = map(int, {name}["resolution_px"].split("x"))\nchannels = {name}["channels"]'
    return {
        "raw": "rgba" if kind.has_alpha else "rgb",
        "raw_bytes": f"{depth} bytes each: red, green, blue" + (", alpha" if kind.has_alpha else ""),
        "rows": "`resolution_px` rows of as many pixels" if resolution.is_square else _rows(resolution.sides_px),
        "feed": _FEED,
        "fed": _FED.substitute(shape="px, px" if resolution.is_square else "height, width"),
        "sides": sides,
        "pad": "" if kind.has_alpha else " ",
        "depth": str(depth),
        "size": "px * px" if resolution.is_square else "H * W",
        "made": str(3 if preprocess.channels == 1 else preprocess.channels),
    }


def _rows(sides_px: tuple[int, int]) -> str:
    height_px, width_px = sides_px
    return f"{height_px} rows of {width_px} pixels"
