"""Hold the weights of a Keras layer against its own configuration: a file may have been put together from two."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.models.keras_import.calls import Call
from mbexport.models.keras_import.weights import Weights

_Found = Iterator[tuple[str, tuple[int, ...], Any]]


def require_configured(call: Call, weights: Weights) -> None:
    """Raise `DataError` for weights of other sizes than the layer's configuration gives them.

    What the configuration leaves out, as old files do, and weights of another number of axes are not looked at.
    """
    sizes = _SIZES.get(call.class_name)
    if sizes is None or not weights:
        return
    for name, got, wanted in sizes(call.config, weights):
        legal = (wanted,) * len(got) if isinstance(wanted, int) else tuple(wanted or got)
        if got != legal:
            raise DataError(
                f"the weights of {call} must have {name} {list(legal)} as its configuration says, got {got}"
            )


def _convolution(config: Mapping[str, Any], weights: Weights) -> _Found:
    kernel, *bias = weights
    if kernel.ndim == 4:
        yield "kernel_size", kernel.shape[:2], config.get("kernel_size")
        yield "filters", kernel.shape[3:], config.get("filters")
        yield from _each(bias, kernel.shape[3])


def _depthwise(config: Mapping[str, Any], weights: Weights) -> _Found:
    kernel, *bias = weights
    if kernel.ndim == 4:
        yield "kernel_size", kernel.shape[:2], config.get("kernel_size")
        yield "depth_multiplier", kernel.shape[3:], config.get("depth_multiplier")
        yield from _each(bias, kernel.shape[2] * kernel.shape[3])


def _separable(config: Mapping[str, Any], weights: Weights) -> _Found:
    depthwise, *pointwise = weights
    yield from _depthwise(config, [depthwise])
    if pointwise:
        yield from _convolution({"kernel_size": 1, "filters": config.get("filters")}, pointwise)


def _dense(config: Mapping[str, Any], weights: Weights) -> _Found:
    kernel, *bias = weights
    if kernel.ndim == 2:
        yield "units", kernel.shape[1:], config.get("units")
        yield from _each(bias, kernel.shape[1])


def _batch_norm(_: Mapping[str, Any], weights: Weights) -> _Found:
    yield from _each(weights, weights[0].size)


def _each(vectors: Weights, size: int) -> _Found:
    return (("channels", vector.shape, size) for vector in vectors if vector.ndim == 1)


_SIZES: Final[Mapping[str, Callable[[Mapping[str, Any], Weights], _Found]]] = MappingProxyType(
    {
        **dict.fromkeys(("Conv2D", "Convolution2D"), _convolution),
        **dict.fromkeys(("DepthwiseConv2D", "DepthwiseConvolution2D"), _depthwise),
        **dict.fromkeys(("SeparableConv2D", "SeparableConvolution2D"), _separable),
        "Dense": _dense,
        **dict.fromkeys(("BatchNormalization", "SyncBatchNormalization"), _batch_norm),
    }
)
