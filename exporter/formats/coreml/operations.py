"""The operations of Core ML's programs in numpy, as apple/coremltools documents them (MIL ops of iOS 15 and 16).

They are computed in float32; `simulation` rounds what each gives to the type that the program states. This is no Core
ML: its kernels add in another order, and on the Neural Engine in float16.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError

Floats = NDArray[Any]
Given = Mapping[str, Any]  # the inputs of an operation by parameter: arrays, texts as `str`


def _convolved(given: Given) -> Floats:
    """conv: x (1, in, h, w), weight (out, in / groups, kh, kw), bias (out,)."""
    kernel, groups = given["weight"].astype(np.float32), int(given.get("groups", 1))
    if any(int(each) != 1 for each in given.get("dilations", (1, 1))):
        raise DataError("a convolution with dilations")
    strides = [int(each) for each in given.get("strides", (1, 1))]
    windows = _windows(_padded(given["x"], kernel.shape[2:], strides, given), kernel.shape[2:], strides)
    multiplied = _by_channel if kernel.shape[1] == 1 and groups == windows.shape[1] else _by_group
    found, bias = multiplied(windows, kernel, groups), given.get("bias")
    return found if bias is None else found + bias.astype(np.float32).reshape(1, -1, 1, 1)


def _by_channel(windows: Floats, kernel: Floats, groups: int) -> Floats:
    """A depthwise convolution: for each place in the kernel, the shifted image times the channel's weight."""
    spread = np.repeat(windows, kernel.shape[0] // groups, axis=1) if kernel.shape[0] > groups else windows
    summed = np.zeros(spread.shape[:4], np.float32)
    for row, column in np.ndindex(*kernel.shape[2:]):
        summed += spread[..., row, column] * kernel[:, 0, row, column].reshape(1, -1, 1, 1)
    return summed


def _by_group(windows: Floats, kernel: Floats, groups: int) -> Floats:
    """Any other: the matrix of a group's weights times what each place of the image shows to them."""
    count, _, high, wide = windows.shape[:4]
    parts = [
        own.reshape(len(own), -1) @ seen.transpose(1, 4, 5, 0, 2, 3).reshape(-1, count * high * wide)
        for seen, own in zip(np.split(windows, groups, axis=1), np.split(kernel, groups), strict=True)
    ]
    return np.concatenate(parts).reshape(len(kernel), count, high, wide).swapaxes(0, 1)


def _windows(images: Floats, sides: tuple[int, ...], strides: list[int]) -> Floats:
    """(1, c, h, w) as (1, c, h', w', kh, kw), without a copy."""
    seen = np.lib.stride_tricks.sliding_window_view(images, sides, axis=(2, 3))
    return seen[:, :, :: strides[0], :: strides[1]]


def _padded(images: Floats, sides: tuple[int, ...], strides: list[int], given: Given, value: float = 0.0) -> Floats:
    """The images with the border that `pad_type` asks for: none, a given one, or one that keeps size / stride."""
    kind = str(given.get("pad_type", "valid"))
    if kind == "valid":
        return images
    if kind == "custom":
        each = [int(size) for size in given["pad"]]
        borders = [(each[0], each[1]), (each[2], each[3])]
    elif kind in ("same", "same_lower"):
        totals = [
            max((-(-size // stride) - 1) * stride + side - size, 0)
            for size, side, stride in zip(images.shape[2:], sides, strides, strict=True)
        ]
        smaller = [(total // 2, total - total // 2) for total in totals]
        borders = smaller if kind == "same" else [(high, low) for low, high in smaller]
    else:
        raise DataError(f"a border of the kind {kind}")
    return np.pad(images, ((0, 0), (0, 0), *borders), constant_values=value)


def _average_pooled(given: Given) -> Floats:
    """avg_pool of x (1, c, h, w); a border counts only where it is not left out."""
    sides, strides = _pool(given)
    left_out = bool(given.get("exclude_padding_from_average", False))
    sums = _windows(_padded(given["x"], sides, strides, given), sides, strides).sum(axis=(4, 5))
    if not left_out:
        return np.asarray(sums / (sides[0] * sides[1]))
    ones = _padded(np.ones_like(given["x"][:, :1]), sides, strides, given)
    return np.asarray(sums / _windows(ones, sides, strides).sum(axis=(4, 5)))


def _most_pooled(given: Given) -> Floats:
    sides, strides = _pool(given)
    found: Floats = _windows(_padded(given["x"], sides, strides, given, -np.inf), sides, strides).max(axis=(4, 5))
    return found


def _pool(given: Given) -> tuple[tuple[int, ...], list[int]]:
    if bool(given.get("ceil_mode", False)):
        raise DataError("a pooling that rounds sizes up")
    return tuple(int(each) for each in given["kernel_sizes"]), [int(each) for each in given.get("strides", (1, 1))]


def _bordered(given: Given) -> Floats:
    """pad by constants, in pairs for the last dimensions."""
    if str(given.get("mode", "constant")) != "constant":
        raise DataError(f"a border of the kind {given['mode']}")
    images, sizes = given["x"], [int(each) for each in given["pad"]]
    pairs = [(0, 0)] * (images.ndim - len(sizes) // 2) + list(zip(sizes[::2], sizes[1::2], strict=True))
    return np.pad(images, pairs, constant_values=float(given.get("constant_val", 0.0)))


def _mean(given: Given) -> Floats:
    axes = given.get("axes")
    chosen = None if axes is None else tuple(int(each) for each in axes)
    return np.asarray(given["x"].mean(axis=chosen, keepdims=bool(given.get("keep_dims", False))))


def _softmax(given: Given) -> Floats:
    values, axis = given["x"], int(given.get("axis", -1))
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def _linear(given: Given) -> Floats:
    found = np.asarray(given["x"] @ given["weight"].astype(np.float32).T)
    return np.asarray(found + given["bias"].astype(np.float32)) if "bias" in given else found


def _product(given: Given) -> Floats:
    first, second = (np.asarray(given[name], np.float32) for name in ("x", "y"))
    first = first.swapaxes(-1, -2) if bool(given.get("transpose_x", False)) else first
    return np.asarray(first @ (second.swapaxes(-1, -2) if bool(given.get("transpose_y", False)) else second))


def _hard_sigmoid(given: Given) -> Floats:
    slope, offset = (float(given.get(name, usual)) for name, usual in (("alpha", 0.2), ("beta", 0.5)))
    return np.asarray(np.clip(given["x"] * np.float32(slope) + np.float32(offset), 0, 1))


def _expanded(given: Given) -> Floats:
    return np.expand_dims(given["x"], tuple(int(each) for each in given["axes"]))


def _squeezed(given: Given) -> Floats:
    axes = given.get("axes")
    return np.asarray(np.squeeze(given["x"], None if axes is None else tuple(int(each) for each in axes)))


def _joined(given: Given) -> Floats:
    return np.concatenate(given["values"], axis=int(given["axis"]))


OPERATIONS: Final[Mapping[str, Callable[[Given], Floats]]] = {
    "add": lambda given: given["x"] + given["y"],
    "avg_pool": _average_pooled,
    "cast": lambda given: given["x"],  # to the type that the program states
    "clip": lambda given: np.clip(given["x"], float(given["alpha"]), float(given["beta"])),
    "concat": _joined,
    "conv": _convolved,
    "expand_dims": _expanded,
    "identity": lambda given: given["x"],
    "linear": _linear,
    "matmul": _product,
    "max_pool": _most_pooled,
    "maximum": lambda given: np.maximum(given["x"], given["y"]),
    "minimum": lambda given: np.minimum(given["x"], given["y"]),
    "mul": lambda given: given["x"] * given["y"],
    "pad": _bordered,
    "real_div": lambda given: given["x"] / given["y"],
    "reduce_mean": _mean,
    "relu": lambda given: np.maximum(given["x"], 0),
    "relu6": lambda given: np.clip(given["x"], 0, 6),
    "reshape": lambda given: given["x"].reshape(tuple(int(each) for each in given["shape"])),
    "sigmoid": lambda given: 1 / (1 + np.exp(-given["x"])),
    "sigmoid_hard": _hard_sigmoid,
    "softmax": _softmax,
    "squeeze": _squeezed,
    "sub": lambda given: given["x"] - given["y"],
    "transpose": lambda given: given["x"].transpose(tuple(int(each) for each in given["perm"])),
}
