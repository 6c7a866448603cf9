"""Move a scaling of channels, x * factor + shift, into the convolution beside it, or make a convolution of it."""

from dataclasses import replace

import numpy as np

from mbexport.models.keras_import.steps import Array, Convolve, Normalize


def scale_output(step: Convolve | Normalize, *, factor: Array, shift: Array) -> Convolve | Normalize:
    """The step that gives y * factor + shift where `step` gives y; both (1,) or (channels,)."""
    if isinstance(step, Normalize):
        return replace(step, gamma=step.gamma * factor, beta=step.beta * factor + shift)
    by_filter = factor.reshape(step.kernel.shape[2:]) if step.is_depthwise and factor.size > 1 else factor
    bias = shift if step.bias is None else step.bias * factor + shift
    bias = bias if bias.size == step.channels else bias.repeat(step.channels)
    return replace(step, kernel=step.kernel * by_filter, bias=bias)


def scale_input(step: Convolve, *, factor: Array, shift: Array) -> Convolve:
    """The convolution that gives for x what `step` gives for x * factor + shift; both (1, 1, 1) to (kh, kw, in).

    Exact where `step` has no padding: a pad is zero before and after, which the shift does not see.
    """
    kernel = step.kernel * factor[..., None]
    over_window = (step.kernel * shift[..., None]).sum(axis=(0, 1) if step.is_depthwise else (0, 1, 2)).reshape(-1)
    if step.bias is None and not over_window.any():
        return replace(step, kernel=kernel)
    return replace(step, kernel=kernel, bias=over_window if step.bias is None else step.bias + over_window)


def as_convolution(name: str, *, factor: Array, shift: Array, channels: int) -> Convolve:
    """The depthwise 1x1 convolution that gives x * factor + shift; both of 1 value, or of one for each channel."""
    kernel = np.broadcast_to(factor.reshape(-1), (channels,)).reshape(1, 1, channels, 1)
    bias = np.broadcast_to(shift.reshape(-1), (channels,))
    return Convolve(name=name, kernel=kernel, bias=bias if bias.any() else None, is_depthwise=True)
