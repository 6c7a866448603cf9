"""Check what a file says of its own output in words against what its network gives.

Only words that we write ourselves are read: what others say of an output is for people, or not about it at all.
"""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.artifact import TensorSpec
from mbexport.models.facts import Output

_PROPERTY: Final = "output"  # of an .onnx; the text on the output of a .tflite
# How the metadata of our .tflite files begin what they tell of classifiers' scores, behind the name of the tensor.
KINDS_IN_WORDS: Final[Mapping[Output, str]] = MappingProxyType(
    {
        Output.SOFTMAX: "Probabilities that sum to 1",
        Output.SIGMOID: "A probability for each class by itself",
        Output.LOGITS: "Logits, without limits",
    }
)
_STEPS: Final = re.compile(r", real = (\S+) \* \(code - (-?\d+)\)\.$")
_TOLERANCE: Final = 1e-6  # the words hold nine digits, the file a float32


def steps_in_words(target: TensorSpec) -> str:
    """The part of a sentence that says which number each code of a quantized output stands for."""
    assert target.affine is not None
    return f", real = {target.affine.scale[0]:.9g} * (code - {target.affine.zero_point[0]})"


def output_conflict(words: Mapping[str, str], *, kind: Output, target: TensorSpec) -> str | None:
    """What the words on an output and the output itself say, if both cannot be right; None without such words.

    `words` are the `metadata()` of the file, `kind` is what its network ends in, `target` its output.
    """
    text = words.get(_PROPERTY, "")
    said = _kind_in(text)
    if said is None:
        return None
    if said is not kind:
        return f"its words say that its scores are {_named(said)}, its network gives {_named(kind)}"
    steps = _STEPS.search(text)
    if steps is None or target.affine is None:
        return None
    scale, zero_point = target.affine.scale[0], target.affine.zero_point[0]
    if _is_number(steps[1], scale) and int(steps[2]) == zero_point:
        return None
    said_steps, own_steps = f"{steps[1]} * (code - {steps[2]})", f"{scale:.9g} * (code - {zero_point})"
    return f"its words say that its scores are {said_steps}, its output that they are {own_steps}"


def _kind_in(text: str) -> Output | None:
    """The kind of scores that a property names, or that the text behind a tensor's name begins with."""
    if text in [kind.value for kind in KINDS_IN_WORDS]:
        return Output(text)
    told = text.partition(": ")[2]
    return next((kind for kind, sentence in KINDS_IN_WORDS.items() if told.startswith(sentence)), None)


def _named(kind: Output) -> str:
    return "logits" if kind is Output.LOGITS else f"probabilities of a {kind.value}"


def _is_number(text: str, wanted: float) -> bool:
    try:
        return math.isclose(float(text), wanted, rel_tol=_TOLERANCE)
    except ValueError:
        return False
