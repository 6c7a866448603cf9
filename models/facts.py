"""The facts on a float network beside its weights, as JSON, so that a stage can read them without loading TensorFlow.

The network's layers are in the same file, as `models.stored_network` lists them.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from mbexport.errors import DataError, OptionError
from mbexport.models.preprocess import Preprocess, preprocess_from_json

INPUT_NAME: Final = "image"  # of the input of every float network, which converters keep


class Output(StrEnum):
    """The kind of a network's scores: probabilities that sum to one, one for each class by itself, or unbounded."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LOGITS = "logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A float network: its input, its output, its cost.

    `alpha` is None if the width multiplier is not known; `mult_adds` counts those of one image; `architecture` lists
    the layers, as JSON of `models.stored_network`; `family` is the name of its row in `models.architectures`, None for
    an imported network.
    """

    preprocess: Preprocess
    classes: int
    output: Output
    alpha: float | None
    mult_adds: int
    parameters: int
    architecture: str
    family: str | None = None


def facts_to_json(facts: Facts) -> str:
    """The facts as JSON that `facts_from_json` reads."""
    return json.dumps(asdict(facts), indent=1) + "\n"


def facts_from_json(text: str) -> Facts:
    """Read the facts that `facts_to_json` wrote. Raises `DataError` for any other text."""
    try:
        values: dict[str, Any] = json.loads(text)
        preprocess = preprocess_from_json(values["preprocess"])
        return Facts(**{**values, "preprocess": preprocess, "output": Output(values["output"])})
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, OptionError) as error:
        raise DataError(f"not a file of facts on a network: {error}") from None
