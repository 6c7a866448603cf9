"""Match an artifact with images: decide which numbers its input expects, and how its output is read."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import TensorSpec, for_bytes
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError, OptionError
from mbexport.formats.classifier import Classifier
from mbexport.formats.runner import FLOAT, Runner
from mbexport.formats.stated_input import in_stated_order, stated_normalization, states_bgr
from mbexport.formats.stated_output import output_conflict
from mbexport.formats.subject import DetectorSubject, Fed, Source, Subject
from mbexport.models.channels import colour_of
from mbexport.models.facts import Output
from mbexport.models.preprocess import NO_BYTES, RAW, Normalization, Preprocess, own_normalization

_EIGHT_BITS: Final = ("uint8", "int8")
_BYTES: Final = np.arange(256)[:, None]
# A mean of 127.5 is no byte, and TFLite's documentation of its metadata itself puts a std of 127.5 beside codes of
# scale 1/128 and zero point 128: the last byte is then one code off.
_ONE_CODE: Final = 1 + 1e-3
# (scale, zero points for bytes) that quantizers give to images in [-1, 1], in [0, 1] and in [0, 255].
_CONVENTIONS: Final = ((1 / 127.5, (127, 128)), (1 / 128, (127, 128)), (1 / 255, (0,)), (1.0, (0,)))
_SCALE_TOLERANCE: Final = 1e-3  # a quarter of what is between 1/127.5 and 1/128
_LEAST_OVERLAP: Final = 0.9  # of the two ranges; a calibration that met no black or white moves an end by less
# The op that makes the scores, as LiteRT, ONNX and Keras name it; behind any other they are logits.
_KINDS: Final[Mapping[str, Output]] = MappingProxyType(
    {
        "SOFTMAX": Output.SOFTMAX,
        "Softmax": Output.SOFTMAX,
        "softmax": Output.SOFTMAX,
        "LOGISTIC": Output.SIGMOID,
        "Sigmoid": Output.SIGMOID,
        "sigmoid": Output.SIGMOID,
    }
)


def match(
    runner: Runner, *, pixels: Preprocess, given: Normalization | None, classes: int, background: bool
) -> Subject:
    """How the file is fed images that `pixels` has cropped and resized, and how its scores of `classes` are read.

    What its input expects of a byte is said, the first that speaks: by the file's own words; by what the network
    does to its input itself; by the codes of an input that is quantized, if they stand for a known convention; by
    the user (`given`), who speaks for files that do not. Raises `DataError` where nobody says it, for words that
    contradict the input, and for another resolution or number of scores; `background` allows one score more, the
    first, which is then left out.
    """
    _require_size(runner, pixels)
    runner.prove()
    skips_background = _skips_background(runner, classes=classes, background=background)
    kind = _KINDS.get(runner.ending(), Output.LOGITS)
    output = Classifier(runner).output
    if output.dtype != FLOAT and output.affine is None and kind is not Output.LOGITS:
        raise DataError(
            f"{runner.path}: its {output.dtype} output has no quantization, so that its codes are no scores"
        )
    fed = _fed_with(runner, pixels, given)
    return Subject(
        runner=runner,
        preprocess=fed.preprocess,
        kind=kind,
        source=fed.source,
        takes_bytes=fed.takes_bytes,
        skips_background=skips_background,
        conflict=fed.conflict,
    )


def match_detector(runner: Runner, *, pixels: Preprocess, given: Normalization | None) -> DetectorSubject:
    """How a detector is fed images that `pixels` has resized: decided as for a classifier.

    Raises `DataError` where nobody says it, for words that contradict the input, for another resolution, and for a
    file that is no detector.
    """
    _require_size(runner, pixels)
    fed = _fed_with(runner, pixels, given)
    return DetectorSubject(
        runner=runner,
        preprocess=fed.preprocess,
        source=fed.source,
        takes_bytes=fed.takes_bytes,
        conflict=fed.conflict,
    )


def input_json(subject: Fed) -> dict[str, Any]:
    """What goes into the artifact, in the words of report.json."""
    normalization = subject.preprocess.normalization
    return {
        "dtype": subject.runner.input.dtype,
        "layout": subject.runner.layout.value,
        "mean": list(normalization.mean),
        "std": list(normalization.std),
        "channel_order": colour_of(subject.preprocess.channels, is_bgr=normalization.is_bgr),
        "source": subject.source.value,
        "byte_distance": _byte_distance(subject),
        "conflict": subject.conflict,
    }


def _byte_distance(subject: Fed) -> int | None:
    """How far an 8-bit input's codes are from the bytes that they are of, at most; None for floats."""
    kind = subject.runner.input.dtype
    if kind not in _EIGHT_BITS:
        return None
    bytes_ = np.arange(256, dtype=np.uint8)
    codes = subject.feeds(bytes_.reshape(-1, 1, 1, 1).repeat(subject.preprocess.channels, axis=3)).astype(np.int16)
    offset = 0 if kind == "uint8" else 128
    return int(np.abs(codes + offset - bytes_.reshape(-1, 1, 1, 1)).max())


def output_json(subject: Subject) -> dict[str, Any]:
    """What comes out of the artifact, in the words of report.json."""
    codes = for_bytes(subject.output)
    return {
        "dtype": subject.output.dtype,
        "kind": subject.kind.value,
        "background": subject.skips_background,
        "codes": None if codes is None else list(_ends(codes)),
        "conflict": output_conflict(subject.runner.metadata(), kind=subject.kind, target=subject.output),
    }


def _fed_with(runner: Runner, pixels: Preprocess, given: Normalization | None) -> Fed:
    """The artifact with what its input expects of a byte."""
    try:
        normalization, source, takes_bytes = _expected(runner, given)
        preprocess = replace(pixels, normalization=normalization)
    except (DataError, OptionError) as error:
        raise DataError(f"{runner.path}: {error}") from None
    conflict = None if takes_bytes or source is not Source.METADATA else _conflict(runner, normalization)
    return Fed(runner=runner, preprocess=preprocess, source=source, takes_bytes=takes_bytes, conflict=conflict)


def _require_size(runner: Runner, pixels: Preprocess) -> None:
    if runner.resolution != pixels.resolution:
        raise DataError(
            f"{runner.path}: all artifacts must take one resolution, got {runner.resolution} px beside "
            f"{pixels.resolution} px"
        )
    if runner.channels != pixels.channels:
        raise DataError(
            f"{runner.path}: all artifacts must take images of one kind, got {runner.channels} channel(s) beside "
            f"{pixels.channels}"
        )


def _skips_background(runner: Runner, *, classes: int, background: bool) -> bool:
    found = Classifier(runner).classes
    if found == classes:
        return False
    if found != classes + 1:
        raise DataError(f"{runner.path}: all artifacts must have one number of classes, got {found} beside {classes}")
    if not background:
        raise DataError(
            f"{runner.path}: there must be {classes} scores, got {found}: --background leaves out the first, "
            "if that is of no class"
        )
    return True


def _expected(runner: Runner, given: Normalization | None) -> tuple[Normalization, Source, bool]:
    """What the input expects of a byte, who says so, and whether the byte itself is the code of that."""
    kind, words = runner.input.dtype, runner.metadata()
    if kind not in (*_EIGHT_BITS, FLOAT):
        raise DataError(f"the input must be uint8, int8 or float32, got {kind}")
    if kind != FLOAT and runner.input.affine is None:
        return _unquantized(kind, is_bgr=states_bgr(words))
    codes = _codes(runner.input)
    said = stated_normalization(words, channels=runner.channels, layout=runner.layout, given=given)
    if said is not None:
        return _fed(said, Source.METADATA, codes)
    rescaled = _rescaled(runner, given)
    if rescaled is not None:
        return rescaled
    if codes is not None and _is_known(codes):
        return _fed(_own(codes, is_bgr=states_bgr(words)), Source.QUANTIZATION, codes)
    if given is not None:
        return _fed(in_stated_order(given, words), Source.OPTION, codes)
    raise DataError(_unstated(runner.input, codes))


def _unquantized(kind: str, *, is_bgr: bool) -> tuple[Normalization, Source, bool]:
    """The network itself makes numbers of the bytes."""
    if kind != "uint8":
        raise DataError(f"its {kind} input has no quantization, so that nothing says what its codes stand for")
    return replace(RAW, is_bgr=is_bgr), Source.QUANTIZATION, not is_bgr


def _fed(said: Normalization, source: Source, codes: Affine | None) -> tuple[Normalization, Source, bool]:
    """With whether each byte is its own code, or at most one off: an app feeds the camera's bytes as they are."""
    if codes is None:
        return said, source, True
    distance = np.abs(_reals(said) / codes.scale[0] + codes.zero_point[0] - _BYTES).max()
    if distance > _ONE_CODE:
        return said, source, False
    return (_own(codes, is_bgr=True), source, False) if said.is_bgr else (said, source, True)


def _conflict(runner: Runner, said: Normalization) -> str | None:
    """What the words and the codes of a quantized input say, if the ranges that they speak of are not about the same.

    A quantizer gives the input all its codes: where bytes would use but a part of them, or go beyond, an app that
    reads the words and one that feeds bytes get different answers.
    """
    codes = _codes(runner.input)
    if codes is None:
        return None
    (least, most), (low, high) = (float(_reals(said).min()), float(_reals(said).max())), _ends(codes)
    if min(most, high) - max(least, low) >= _LEAST_OVERLAP * (max(most, high) - min(least, low)):
        return None
    return f"its words make {least:.6g} .. {most:.6g} of bytes, its input's codes stand for {low:.6g} .. {high:.6g}"


def _codes(source: TensorSpec) -> Affine | None:
    """The quantization of bytes that an 8-bit input, or a float one that is quantized first thing, has."""
    return source.affine if source.dtype == FLOAT else for_bytes(source)


def _ends(codes: Affine) -> tuple[float, float]:
    """What the first code and the last stand for."""
    low, high = ((end - codes.zero_point[0]) * codes.scale[0] for end in (0, 255))
    return low, high


def _own(codes: Affine, *, is_bgr: bool) -> Normalization:
    """What gives just what the codes of the bytes stand for."""
    return Normalization(mean=(float(codes.zero_point[0]),), std=(1 / codes.scale[0],), is_bgr=is_bgr)


def _rescaled(runner: Runner, given: Normalization | None) -> tuple[Normalization, Source, bool] | None:
    """What a network that rescales its own input makes of bytes; of what the user says, if it cannot mean bytes."""
    scale, offset = runner.rescaling
    if (set(scale), set(offset)) == ({1.0}, {0.0}):
        return None
    found = own_normalization(scale, offset)
    if found is not None:
        return found, Source.MODEL, True
    if given is None:
        raise DataError(NO_BYTES)
    return given.then(scale, offset), Source.OPTION, True


def _reals(normalization: Normalization) -> NDArray[np.float64]:
    """What becomes of every byte: (256, 1), or (256, channels)."""
    reals: NDArray[np.float64] = (_BYTES - np.array(normalization.mean)) / np.array(normalization.std)
    return reals


def _is_known(codes: Affine) -> bool:
    return any(
        math.isclose(codes.scale[0], scale, rel_tol=_SCALE_TOLERANCE) and codes.zero_point[0] in zero_points
        for scale, zero_points in _CONVENTIONS
    )


def _unstated(source: TensorSpec, codes: Affine | None) -> str:
    ask = "it does not say what it expects of a byte: give --preprocess, or --mean and --scale"
    if codes is None:
        return f"its input is {source.dtype}, and {ask}"
    low, high = _ends(codes)
    return f"the codes of its input stand for {low:.6g} .. {high:.6g}, which is no known convention, and {ask}"
