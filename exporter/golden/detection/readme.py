"""Write the README of a detector's golden vectors: how anybody replays them."""

from string import Template
from typing import Final

from mbexport.golden.readme import GREY, OWN_CHANNELS, RESIZED_BY_STEPS, words_of
from mbexport.models.channels import CHANNELS
from mbexport.models.preprocess import Preprocess

_TEXT: Final = Template("""\
# Golden vectors

A few real photos, and the objects that each exported file finds in them. A unit test that replays them proves that an
app resizes, feeds and reads as this model needs it: most ports go wrong in one of these steps, and still draw boxes.

## The files

`golden.json` names everything and holds the rows; the rest is plain bytes without headers.

- `case_N/raw.$raw`: the photo, `height` rows of `width` pixels from the top left, $raw_bytes.
- `case_N/resized.$raw`: what resizing must make of it, to the byte: $rows,
  `channels` bytes each; `sha256` is that of this file.

Photos with a side of more than 320 pixels were reduced to that before (Pillow, bilinear): the reduced photo is the raw
one. Nothing else was done to it.

## The four steps

1. **Resize.** $resize The result must equal `resized.$raw`.
2. **Feed.** $feed
3. **Read.** Four outputs, by their names, in whatever order the runtime has them: `location` (1, n, 4) holds ymin,
   xmin, ymax and xmax of each box in fractions of the photo, `category` (1, n) the number of its class, `score` (1, n)
   how certain it is, the best first, and `number of detections` (1) how many of the n rows count. The photo was
   resized as a whole, so that its own pixels are xmin * `width`, ymin * `height` and so on.
4. **Compare.** `rows` are what a file finds: `class` and `label`, `score`, `box` as in `location`, and `pixels`, the
   left, top, right and bottom edge in the raw photo. A row is *met* by one of the same class whose score is at most
   `tolerance.score` and whose four corners are each at most `tolerance.corner` away. Two things must hold:
   - Every row that is `safe` is met by one that you find.
   - Every row that you find with a score of at least `least_score` + `tolerance.score` lies on one of `rows` of its
     class: the two share at least half of the area that they cover together.

A row is `safe` if its score is above `least_score` by `tolerance.score`, no other box of its class that is nearly as
certain lies over it, and other kernels found it again. The other rows may be missing elsewhere, or be a little other
ones. If no photo had a safe row in every file, there is only one case, with the most certain row there was.

`spread` is by how much the kernels of one runtime differed here. `tolerance` is twice that, and at least 1/8 of a score
and 1/32 of the photo's side where activations have 8 bits, else 1/64 and 1/256.

## In Python

```python
import json
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

folder = Path("golden")
golden = json.loads((folder / "golden.json").read_text("utf-8"))
artifact = next(each for each in golden["artifacts"] if each["format"] == "tflite")
source, tolerance, least = artifact["input"], artifact["tolerance"], golden["least_score"]
$sides


def share(a, b):
    height, width = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return height * width / (both - height * width)


interpreter = Interpreter(str(folder.parent / artifact["file"]))
interpreter.allocate_tensors()
for case in golden["cases"]:
$fed
    interpreter.invoke()
    outputs = {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}
    count = int(outputs["number of detections"][0])
    names = ("category", "score", "location")
    found = list(zip(*(outputs[name][0, :count].tolist() for name in names), strict=True))

    rows = case["expected"][artifact["file"]]["rows"]
    for row in rows:
        if row["safe"]:
            assert any(
                label == row["class"]
                and abs(score - row["score"]) <= tolerance["score"]
                and max(abs(a - b) for a, b in zip(box, row["box"], strict=True)) <= tolerance["corner"]
                for label, score, box in found
            )
    for label, score, box in found:
        if score >= least + tolerance["score"]:
            assert any(label == row["class"] and share(box, row["box"]) >= 0.5 for row in rows)
```
""")
_WHOLE: Final = Template("The whole photo is shown, whatever its shape: nothing is cut off. W is $width, H is $height.")


def readme_text(preprocess: Preprocess) -> str:
    """The README of golden vectors for a detector that is fed by `preprocess`."""
    height_px, width_px = preprocess.resolution.sides_px
    grey = f"If `channels` is 1 or 2, {GREY}\n   " if preprocess.channels < 3 else ""
    whole = _WHOLE.substitute(width=width_px, height=height_px)
    resize = f"{grey}{whole}\n  {RESIZED_BY_STEPS}" + (OWN_CHANNELS if CHANNELS[preprocess.channels].has_alpha else "")
    return _TEXT.substitute(words_of(preprocess), resize=resize)
