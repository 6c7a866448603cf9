"""List parts of a report as names and values that people read: model, data, options, machine."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mbexport.report.page.numbers import number

# What keys of report.json are called on the page. A key that is missing here is shown with spaces for underscores.
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "title": "Kind of network",
        "family": "Architecture",
        "conv": "Convolutions",
        "shallow": "Shallow variant",
        "minimalistic": "Minimalistic variant",
        "trained_here": "Trained in this run",
        "source": "Weights",
        "source.file": "Weights, file",
        "source.sha256": "Weights, SHA-256",
        "feature_stride": "Stride of the finest map, pixels",
        "alpha": "Width multiplier, alpha",
        "resolution_px": "Resolution, pixels",
        "rho": "Resolution multiplier, rho",
        "mult_adds": "Multiply-adds",
        "fingerprint": "Fingerprint of the test images",
        "calibration_fingerprint": "Fingerprint of the calibration images",
        "crop_fraction": "Central crop, fraction of the side that limits it",
        "mean": "Mean, subtracted from each byte",
        "std": "Divisor of each byte",
        "channel_order": "Order of channels",
        "best_epoch_chosen_on_test": "Best epoch chosen on the test images",
        "qat_epochs": "Epochs of quantization-aware training",
        "qat_steps": "Steps of quantization-aware training",
        "calibration_samples": "Calibration images",
        "ranges": "Ranges from the file",
        "max_bad": "Unreadable images allowed, fraction",
        "io": "Input and output type of int8 files",
        "system": "Operating system",
        "cpu": "Processor",
        "cores": "Logical cores",
        "flags": "Processor features",
        "memory_bytes": "Memory, bytes",
        "load.before": "Load before, 1, 5, 15 minutes",
        "load.after": "Load after, 1, 5, 15 minutes",
        "near_ties": "Near ties among the others",
        "max_logit_lsb": "Largest distance of a logit, LSB",
        "integer_agreement": "Agreement with exact integers",
        "dead": "Always zero",
        "killed": "Made zero by rounding",
        "dead_channels": "Channels that are always zero",
        "killed_channels": "Channels that rounding made zero",
        "held_out": "Held-out images",
        "measure": "Measured as",
        "start.divergence": "Divergence before",
        "start.agreement": "Agreement before",
        "best.divergence": "Divergence, best",
        "best.agreement": "Agreement, best",
        "kept": "Integers kept",
        "unsettled": "Tensors outside their ranges",
    }
)


_NO_NAMES: Final[Mapping[str, str | None]] = MappingProxyType({})


def facts(
    found: Mapping[str, Any], *, without: Sequence[str] = (), names: Mapping[str, str | None] = _NO_NAMES
) -> list[tuple[str, str]]:
    """List names and values, without the keys `without`; what is nested has names such as `Weights, file`.

    `names` come before the usual ones; what has None there is left out.
    """
    known, shown = {**_NAMES, **names}, []
    for name, value in found.items():
        if name in without or known.get(name, name) is None:
            continue
        if isinstance(value, Mapping):
            shown += [(_nested(known, name, inner), _fact(each)) for inner, each in value.items()]
        else:
            shown.append((_name(known, name), _fact(value)))
    return shown


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value)) or "none"
    return number(value) if value is None or isinstance(value, int | float) else str(value)


def _name(known: Mapping[str, str | None], key: str) -> str:
    return known.get(key) or _spaced(key)


def _nested(known: Mapping[str, str | None], outer: str, inner: str) -> str:
    return known.get(f"{outer}.{inner}") or f"{_name(known, outer)}, {inner}"


def _spaced(key: str) -> str:
    """The key in words, which begin with a capital."""
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:]
