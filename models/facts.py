"""The facts on a float network beside its weights, as JSON, so that a stage can read them without loading TensorFlow.

The network's layers are in the same file, as `models.stored_network` lists them.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from mbexport.documents import Form, read_json, refusal
from mbexport.errors import OptionError
from mbexport.models.detection.detector import DETECTOR_SCHEMA, Detector, detector_from_json, detector_to_json
from mbexport.models.preprocess import PREPROCESS_SCHEMA, Preprocess, preprocess_from_json, preprocess_to_json

INPUT_NAME: Final = "image"  # of the input of every float network, which converters keep


class Output(StrEnum):
    """The kind of a network's scores: probabilities that sum to one, one for each class by itself, or unbounded.

    Those of a detector are of boxes: its network gives codes and logits for each anchor.
    """

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LOGITS = "logits"
    DETECTIONS = "detections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A float network: its input, its output, its cost.

    `alpha` is None if the width multiplier is not known; `mult_adds` counts those of one image; `architecture` lists
    the layers, as JSON of `models.stored_network`; `family` is the name of its row in `models.architectures`, None for
    an imported network. `detector` says how the outputs of a detection network are read.
    """

    preprocess: Preprocess
    classes: int
    output: Output
    alpha: float | None
    mult_adds: int
    parameters: int
    architecture: str
    family: str | None = None
    detector: Detector | None = None


def _schema() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    properties = {
        "preprocess": PREPROCESS_SCHEMA,
        "classes": {"type": "integer", "minimum": 1},
        "output": {"enum": list(Output)},
        "alpha": {"type": ["number", "null"]},
        "mult_adds": count,
        "parameters": count,
        "architecture": {"type": "string"},
    }
    return {
        "type": "object",
        "properties": {**properties, "family": {"type": ["string", "null"]}, "detector": DETECTOR_SCHEMA},
        "required": list(properties),
        "additionalProperties": False,
    }


_FORM: Final = Form(title="a file of facts on a network", schema=_schema)


def facts_to_json(facts: Facts) -> str:
    """The facts as JSON that `facts_from_json` reads."""
    values = {**asdict(facts), "preprocess": preprocess_to_json(facts.preprocess)}
    del values["detector"]
    if facts.detector is not None:
        values["detector"] = detector_to_json(facts.detector)
    return json.dumps(values, indent=1) + "\n"


def facts_from_json(content: bytes | str, *, source: str | Path = "it") -> Facts:
    """Read the facts that `facts_to_json` wrote, from the file `source`. Raises `DataError` for anything else."""
    values: dict[str, Any] = read_json(content, _FORM, source=source)
    try:
        preprocess = preprocess_from_json(values["preprocess"])
        detector = detector_from_json(values["detector"]) if "detector" in values else None
    except OptionError as error:
        raise refusal(_FORM, source, error) from None
    read = {"preprocess": preprocess, "output": Output(values["output"]), "detector": detector}
    return Facts(**{**values, **read})
