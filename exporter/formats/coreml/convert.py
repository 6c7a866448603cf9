"""Convert a network to a Core ML package: coremltools does it, in a process beside this one, and it is proved here.

coremltools changes how libraries behave that lie beside it, and says much on the terminal: it is never loaded here.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbexport.errors import DataError, OptionError, StageError
from mbexport.escaping.terminal import visible
from mbexport.formats.child import printed_by
from mbexport.formats.coreml.codes import with_decided_codes
from mbexport.formats.coreml.convert_process import PACKAGE, REQUEST, SAVED
from mbexport.formats.coreml.package import FILES
from mbexport.formats.coreml.proof import require_as_asked
from mbexport.formats.coreml.rows import PackageForm, distinct_labels
from mbexport.formats.description import Description
from mbexport.formats.file_format import Networks
from mbexport.formats.tflite.integers import Decided
from mbexport.models.facts import INPUT_NAME
from mbexport.models.folding import is_convolution

# -P: nothing that lies in the user's folder by chance is imported.
_COMMAND: Final = ("-P", "-m", "mbexport.formats.coreml.convert_process")
_COLOURS: Final = {"GREY": "GRAYSCALE", "RGB": "RGB", "BGR": "BGR"}  # coremltools' names


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageConversion:
    """One package to be made: its row, what it says of itself, and the networks behind it."""

    form: PackageForm
    description: Description
    networks: Networks


def require_convertible(description: Description, form: PackageForm) -> None:
    """Raise `OptionError` for what no package of ours can be: of a network that gives logits, or takes alpha."""
    if not description.is_probability:
        raise OptionError(
            f"--precision {form.name} makes classifiers that give probabilities, got a network that gives logits"
        )
    if description.colour not in _COLOURS:
        raise OptionError(
            f"--precision {form.name} takes {', '.join(_COLOURS)} images, as Core ML has them, got a network for "
            f"{description.colour}"
        )


def package_files(conversion: PackageConversion) -> dict[str, bytes]:
    """The files of the package, by their paths in its folder, proved to hold what was asked for.

    Raises `OptionError` for what no package can be, `StageError` where coremltools fails, crashes or does not end, and
    where what it made is another network.
    """
    form = conversion.form
    description = replace(conversion.description, labels=distinct_labels(conversion.description.labels))
    require_convertible(description, form)
    network = conversion.networks.network()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save(network, _gains(description), folder / SAVED)
        (folder / REQUEST).write_text(json.dumps(_request(form, description)), "utf-8")
        reason = _failure(folder)
        if reason is not None:
            raise StageError(f"{description.name} cannot be converted to {form.name}: {visible(reason)}")
        files = {each: (folder / PACKAGE / each).read_bytes() for each in FILES}
    decided = conversion.networks.decided() if form.is_quantized else _convolutions(network)
    if form.is_quantized:
        files = with_decided_codes(files, decided)
    require_as_asked(files, form, description, decided)
    return files


def _convolutions(network: Any) -> Mapping[str, Decided]:
    """The weights of a float network, none of which has codes."""
    found = {}
    for layer in network.layers:
        if is_convolution(layer):
            kernel, bias = layer.get_weights()
            found[layer.name] = Decided(kernel=kernel, bias=bias, least=np.zeros(len(bias)))
    return found


def _gains(description: Description) -> tuple[float, ...]:
    """What each channel is multiplied by behind the one scale that an image input has; empty where all have one std."""
    first, *others = description.std
    return tuple(first / std for std in description.std) if any(std != first for std in others) else ()


def _save(network: Any, gains: tuple[float, ...], folder: Path) -> None:
    """A SavedModel of the network for one image, with what no scale and bias of an image input can do before it."""
    import tensorflow as tf

    image = tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name=INPUT_NAME)
    factors = tf.constant(gains, tf.float32) if gains else None

    def scores(image: Any) -> Any:
        return network(image if factors is None else image * factors, training=False)

    concrete = tf.function(scores, input_signature=[image]).get_concrete_function()
    tracked = tf.Module()
    tracked.variables_read = concrete.variables
    tf.saved_model.save(tracked, str(folder), signatures=concrete)


def _request(form: PackageForm, description: Description) -> dict[str, Any]:
    """What the other process is told: how bytes become the input, in one scale and a bias a channel, and all words."""
    std, size = description.std[0], description.channels
    mean = description.mean * size if len(description.mean) == 1 else description.mean
    gains = _gains(description) or (1.0,) * size
    shape = (1, description.resolution.height_px, description.resolution.width_px, size)
    return {
        "target": form.target,
        "is_quantized": form.is_quantized,
        "shape": shape,
        "colour": _COLOURS[description.colour],
        "scale": 1 / std,
        "bias": [-each / std for each in mean],
        "labels": description.labels,
        "words": {
            "shortDescription": description.text,
            "author": description.author,
            "license": description.licence or "",
            "versionString": description.version,
        },
        "properties": {
            "mbexport.name": description.name,
            "mbexport.precision": form.name,
            "mbexport.normalization.mean": json.dumps(mean),
            "mbexport.normalization.std": json.dumps([std / gain for gain in gains]),
        },
    }


def _failure(folder: Path) -> str | None:
    """Why the process made no package, None if it says that it did."""
    try:
        answer = printed_by([*_COMMAND, str(folder)], name="coremltools")
    except DataError as error:
        return str(error)
    if not answer:
        return "coremltools ended without a word, in a process of its own"
    reason: str | None = json.loads(answer)["error"]
    return reason
