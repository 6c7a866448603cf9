"""Turns a convolution and a scaling before or behind it into one convolution, in float64."""

from dataclasses import replace

from mbexport.models.keras_import.chain import Array, Convolve, Normalize


def followed(step: Convolve | Normalize, *, factor: Array, shift: Array) -> Convolve | Normalize:
    """The step that gives y * factor + shift where `step` gives y; both (1,) or (channels,)."""
    if isinstance(step, Normalize):
        return replace(step, gamma=step.gamma * factor, beta=step.beta * factor + shift)
    kernel = step.kernel * (factor.reshape(-1, 1) if step.is_depthwise else factor)
    bias = shift if step.bias is None else step.bias * factor + shift
    channels = step.kernel.shape[2 if step.is_depthwise else 3]
    return replace(step, kernel=kernel, bias=bias if bias.size == channels else bias.repeat(channels))


def preceded(step: Convolve, *, factor: Array, shift: Array) -> Convolve:
    """The convolution that gives for x what `step` gives for x * factor + shift; both (1, 1, 1) to (kh, kw, in).

    Exact where `step` has no padding: a pad is zero before and after, which the shift does not see.
    """
    kernel = step.kernel * factor[..., None]
    over_window = (step.kernel * shift[..., None]).sum(axis=(0, 1) if step.is_depthwise else (0, 1, 2)).reshape(-1)
    if step.bias is None and not over_window.any():
        return replace(step, kernel=kernel)
    return replace(step, kernel=kernel, bias=over_window if step.bias is None else step.bias + over_window)
