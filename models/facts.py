"""Turns what is known of a float network, beside its weights, into JSON and back: no stage has to load it to know.

The network's architecture travels in the same file, as tf_keras describes it.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from mbexport.errors import DataError, OptionError
from mbexport.models.preprocess import Preprocess, preprocess_from_json

INPUT_NAME: Final = "image"  # of the input of every float network, which converters keep


class Output(StrEnum):
    """What the network's scores are: probabilities that sum to one, one for each class by itself, or unbounded."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LOGITS = "logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A float network: what goes in, what comes out, what it costs.

    `alpha` is None where the width multiplier is not known; `mult_adds` counts one image; `architecture` is the
    JSON of tf_keras; `family` is the name of the row of `models.architectures` that it was built from, None for a
    network that was made elsewhere.
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
    """The facts as JSON, for `facts_from_json`."""
    return json.dumps(asdict(facts), indent=1) + "\n"


def facts_from_json(text: str) -> Facts:
    """The facts that `facts_to_json` wrote. Raises `DataError` if the text is something else."""
    try:
        values: dict[str, Any] = json.loads(text)
        preprocess = preprocess_from_json(values["preprocess"])
        return Facts(**{**values, "preprocess": preprocess, "output": Output(values["output"])})
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, OptionError) as error:
        raise DataError(f"not a file of facts on a network: {error}") from None
