"""The gates of a verdict: one row each, with what it measures, its limit, and what to do about a value beyond it.

A new gate is a new row of a table: the command line, the report and the verdict read that and nothing else. `GATES` is
the table of classifiers, which all functions take where no other is given; detectors have one of their own
(`detection/gates.py`).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from mbexport.errors import OptionError
from mbexport.models.architectures import architecture_named
from mbexport.models.published import nearest_quantized
from mbexport.models.resolution import Resolution
from mbexport.verification import measured_values
from mbexport.verification.measured_values import Json, Value

Direction = Literal["at least", "at most"]
_BYTES_PER_PARAMETER: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What default limits depend on; None for what is not known of a network.

    `family` is the name of its architecture, `alpha` its width multiplier, `mult_adds` are those of one image,
    `fp32_bytes` is the size of the float weights, `fp32_ms` the shortest median latency of an fp32 artifact.
    `has_float_io` says that the int8 artifacts were asked to take and give floats, `integer_share` how many of their
    convolutions were not asked to stay in float, as a fraction; `float_bytes` is the size of the weights of those that
    were.
    """

    resolution: Resolution
    family: str | None = None
    alpha: float | None = None
    mult_adds: int | None = None
    fp32_bytes: int | None = None
    fp32_ms: float | None = None
    has_float_io: bool = False
    integer_share: float = 1.0
    float_bytes: int = 0

    @classmethod
    def of_parameters(
        cls,
        *,
        family: str | None,
        alpha: float | None,
        resolution: Resolution,
        mult_adds: int,
        parameters: int,
        has_float_io: bool = False,
    ) -> "NetworkFacts":
        """A network whose size is known in parameters."""
        return cls(
            family=family,
            alpha=alpha,
            resolution=resolution,
            mult_adds=mult_adds,
            fp32_bytes=_BYTES_PER_PARAMETER * parameters,
            has_float_io=has_float_io,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One row: what is compared with which limit, and which side of the limit is good.

    `values` takes the gate's values from the measured part of a report: none where there is nothing to compare.
    `limit` holds unless the user sets another or `network_limit` knows a better one for this network; a gate without
    any is judged only where the user sets one. One that `compares` needs a network as the reference: labels are none.
    Where more test images cannot make the value's interval narrower, `narrows_with_images` is False. The value of one
    that `is_timed` is a clock's.
    """

    direction: Direction
    limit: float | None
    meaning: str
    advice: str
    values: Callable[[Json], Iterable[Value]]
    network_limit: Callable[[NetworkFacts], float | None] = lambda _: None
    compares: bool = False
    narrows_with_images: bool = True
    is_timed: bool = False


Gates = Mapping[str, Gate]

# Limits that depend on the network.

_GRAPH_BYTES: Final = 128 << 10
_FLOAT_TWIN_AGREEMENT: Final = 0.95
_FLOAT_TWIN_LSB: Final = 32
_FLOAT_GROWTH: Final = 0.75  # of float weights, over 8-bit ones
# Where a network takes a tenth of a millisecond, starting each op outweighs what integers save; where it takes a
# hundredth, little else is measured.
_SPEEDUPS: Final = ((10_000_000, 1.0), (1_000_000, 0.8), (0, 0.5))  # mult-adds at least, limit
_SHORT_MS: Final = 0.3
_SHORT_SPEEDUP: Final = 0.8
# Others' quantizers change 4 to 10 answers for each that they lose, ours 2.5 (decision 0013).
_CHANGES_PER_LOSS: Final = 5
_MOST_CHANGES, _FEWEST_CHANGES = 0.15, 0.05


def _published_drop(network: NetworkFacts) -> float | None:
    """What Google's quantized checkpoint of such a network lost; None where none was published near its width."""
    architecture = architecture_named(network.family)
    if architecture is None or network.alpha is None:
        return None
    found = nearest_quantized(architecture.published, alpha=network.alpha, resolution=network.resolution)
    return None if found is None or found.int8_drop is None else round(found.int8_drop, 4)


def _agreement_at_published_drop(network: NetworkFacts) -> float | None:
    """The agreement that goes with such a loss."""
    drop = _published_drop(network)
    if drop is None:
        return None
    changes = min(max(_CHANGES_PER_LOSS * drop, _FEWEST_CHANGES), _MOST_CHANGES)
    return round(1 - changes, 4)


def _speedup_limit(network: NetworkFacts) -> float | None:
    """What integers can save where there is so much work."""
    if network.fp32_ms is not None and network.fp32_ms < _SHORT_MS:
        return _SHORT_SPEEDUP
    mult_adds = network.mult_adds
    return None if mult_adds is None else next(limit for least, limit in _SPEEDUPS if mult_adds >= least)


def size_limit(network: NetworkFacts, *, same_bytes: int = _GRAPH_BYTES) -> float | None:
    """int8 over fp32 size: a quarter, the scales of the channels, and what is the same in both, which small ones feel.

    That is 128 KiB of graph if absent, and three quarters of each layer that was kept in float.
    """
    if network.fp32_bytes is None:
        return None
    return round(0.28 + (same_bytes + _FLOAT_GROWTH * network.float_bytes) / network.fp32_bytes, 4)


def _integer_limit(network: NetworkFacts) -> float | None:
    """All convolutions but those that were to stay in float."""
    return network.integer_share if network.integer_share < 1 else None


def _twin_agreement_limit(network: NetworkFacts) -> float | None:
    """What sums of floats in another order leave of the answers, behind a layer in float: 97.5 % were seen (0055)."""
    return _FLOAT_TWIN_AGREEMENT if network.integer_share < 1 else None


def _twin_lsb_limit(network: NetworkFacts) -> float | None:
    """What they come to: 17 were seen; a broken twin that no other gate sees is 47 apart at least (0055, 0033)."""
    return _FLOAT_TWIN_LSB if network.integer_share < 1 else None


GATES: Final[Gates] = MappingProxyType(
    {
        "samples": Gate(
            direction="at least",
            limit=30,
            meaning="images that were compared: fewer prove nothing",
            advice="give more images with --data",
            values=measured_values.samples,
        ),
        "classes": Gate(
            direction="at least",
            limit=2,
            meaning="classes among the images: one proves nothing",
            advice="give images of several classes with --data",
            values=measured_values.classes_seen,
        ),
        "distinct_outputs": Gate(
            direction="at least",
            limit=5,
            meaning="different score vectors of any one artifact: an untrained network gives one to four",
            advice="is the network trained, and are its activations' ranges those of real images?",
            values=measured_values.of_each(measured_values.artifacts, lambda entry: entry["distinct_outputs"]),
        ),
        "above_chance": Gate(
            direction="at least",
            limit=1,
            meaning="lower bound of the reference's top-1 (of each file's beside labels) over the accuracy of guessing",
            advice="are the classes in the order of the scores (--classes), and is the input normalized as it expects?",
            values=measured_values.times_chance,
        ),
        "top1": Gate(
            direction="at least",
            limit=None,
            meaning="top-1 of each file: the share of images whose best score is the label's",
            advice="train it longer or on more images, or take a larger network",
            values=measured_values.top1s,
        ),
        "fp32_error": Gate(
            direction="at most",
            limit=1e-3,
            meaning="largest distance of an fp32 artifact's probability from the float reference",
            advice="is it the same network as the reference, and fed with the same numbers?",
            values=measured_values.of_each(measured_values.comparable_fp32, lambda entry: entry["max_abs_error"]),
            compares=True,
        ),
        "score_error": Gate(
            direction="at most",
            limit=0.1,
            meaning="each image's largest distance of a probability of less than fp32 from the reference's, on average",
            advice="are scale and zero point of its output right? Calibrate on more images like the app's",
            values=measured_values.score_errors,
            compares=True,
        ),
        "top1_drop": Gate(
            direction="at most",
            limit=0.02,
            network_limit=_published_drop,
            meaning="top-1 that an artifact of less than fp32 lost against the reference",
            advice="calibrate on more images like the app's, or train: --qat-epochs 2; see the worst layers",
            values=measured_values.top1_drops,
            compares=True,
        ),
        "agreement": Gate(
            direction="at least",
            limit=0.9,
            network_limit=_agreement_at_published_drop,
            meaning="images that an artifact of less than fp32 answers as the reference does",
            advice="see the disagreements: is the input normalized as it expects, and in this order of channels?",
            values=measured_values.agreements,
            compares=True,
        ),
        "twin_agreement": Gate(
            direction="at least",
            limit=0.99,  # of 500 images that all agree, the interval begins at 0.9924
            network_limit=_twin_agreement_limit,
            meaning="images that int8 TFLite and int8 ONNX answer alike",
            advice="were both made by one run? Make them again together",
            values=measured_values.twin_agreements,
        ),
        "twin_lsb": Gate(
            direction="at most",
            limit=8,
            network_limit=_twin_lsb_limit,
            meaning="largest distance of twins' outputs, in steps of their scale",
            advice="one of them was changed, or they come from two runs: make them again together",
            values=measured_values.twin_distances,
        ),
        "path_agreement": Gate(
            direction="at least",
            limit=0.85,
            meaning="images that a file answers alike through every kernel path of its runtime",
            advice="phones may take another path: see the report's kernel paths",
            values=measured_values.path_agreements,
            narrows_with_images=False,  # the file decides how many images are sent through every kernel path
        ),
        "npu_agreement": Gate(
            direction="at least",
            limit=0.85,
            meaning="images that a file compiled for an NPU answers, emulated, as its source does on the CPU",
            advice="look at more images with --npu-images, and at how far apart they are: chips round otherwise",
            values=measured_values.npu_agreements,
            narrows_with_images=False,  # --npu-images says how many the emulator is given
        ),
        "labels": Gate(
            direction="at least",
            limit=0.98,
            meaning="labels inside a file that are those of the data's class at their place; 0 for another number",
            advice="are the labels in the order of the scores, and is --background needed?",
            values=measured_values.label_matches,
        ),
        "named_precision": Gate(
            direction="at least",
            limit=1,
            meaning="1 if a file holds the precision that its name says, else 0",
            advice="rename it, or convert it again",
            values=measured_values.named_precisions,
        ),
        "byte_input": Gate(
            direction="at most",
            limit=1,
            meaning="how far the codes of an 8-bit input are from the camera's bytes that apps feed",
            advice="export with --io uint8 and the normalization that the network was trained with",
            values=measured_values.byte_distances,
        ),
        "input_words": Gate(
            direction="at least",
            limit=1,
            meaning="1 if what a file says of its input in words and in codes can both be right, else 0",
            advice="convert it again: apps that read the words and apps that feed bytes get different answers",
            values=measured_values.input_words,
        ),
        "output_codes": Gate(
            direction="at most",
            limit=0.02,
            meaning="how far the codes of an 8-bit output reach beyond the probabilities 0 to 1 that they stand for",
            advice="scale and zero point of its output are wrong: convert it again",
            values=measured_values.beyond_probability,
        ),
        "output_words": Gate(
            direction="at least",
            limit=1,
            meaning="1 if what a file says of its output in words and what its network gives can both be right, else 0",
            advice="convert it again: apps that read the words get other scores",
            values=measured_values.output_words,
        ),
        "int8_io": Gate(
            direction="at least",
            limit=1,
            network_limit=lambda network: 0.0 if network.has_float_io else None,
            meaning="1 if an int8 artifact takes and gives 8-bit codes, 0 if its input or output are floats",
            advice="export with --io uint8; where floats are wanted, say --gate int8_io=0",
            values=measured_values.of_each(measured_values.int8, measured_values.has_codes),
        ),
        "int8_convs": Gate(
            direction="at least",
            limit=1.0,
            network_limit=_integer_limit,
            meaning="share of an int8 artifact's convolutions that run in integers",
            advice="see `mbexport inspect --kernels FILE`; convert from the int8 .tflite, not from Keras",
            values=measured_values.of_each(measured_values.int8, measured_values.integer_share),
        ),
        "int8_speedup": Gate(
            direction="at least",
            limit=1.0,
            network_limit=_speedup_limit,
            meaning="fp32 over int8 latency in the same format",
            advice="time it on a quiet machine; see `mbexport inspect --kernels FILE`",
            values=measured_values.speedups,
            narrows_with_images=False,  # the interval is of runs of a clock
            is_timed=True,
        ),
        "size_ratio": Gate(
            direction="at most",
            limit=0.3,
            network_limit=size_limit,
            meaning="int8 size over fp32 size, same format",
            advice="are float weights left in the file? See `mbexport inspect FILE`",
            values=measured_values.size_ratios,
        ),
    }
)


def gate_values(measured: Json, gates: Gates = GATES) -> dict[str, tuple[Value, ...]]:
    """The values of each gate that `measured`, a report or its measured part, has."""
    has_network = measured["reference"]["precision"] is not None
    judged = {name: gate for name, gate in gates.items() if has_network or not gate.compares}
    values = {name: tuple(gate.values(measured)) for name, gate in judged.items()}
    return {name: each for name, each in values.items() if each}


def comparing_gates(gates: Gates = GATES) -> tuple[str, ...]:
    """The names of the gates that need a network as the reference."""
    return tuple(name for name, gate in gates.items() if gate.compares)


def speed_gates(gates: Gates = GATES) -> tuple[str, ...]:
    """The names of the gates on what a clock says."""
    return tuple(name for name, gate in gates.items() if gate.is_timed)


def default_limits(network: NetworkFacts, gates: Gates = GATES) -> dict[str, float]:
    """The limits that depend on this network; for all others those of the table hold."""
    limits = {name: gate.network_limit(network) for name, gate in gates.items()}
    return {name: limit for name, limit in limits.items() if limit is not None}


def check_limits(limits: Mapping[str, float], gates: Gates = GATES) -> None:
    """Raises `OptionError` for a limit of a gate that does not exist, or that is not a number."""
    for name, limit in limits.items():
        if name not in gates:
            raise OptionError(f"gate must be one of {', '.join(gates)}, got {name}")
        if not 0 <= limit < math.inf:
            raise OptionError(f"the limit of gate {name} must be a number of at least 0, got {limit:g}")
