"""What published lists ask of an op besides its name: each rule says why an op is not taken, None if it is."""

from collections.abc import Callable, Collection

from mbexport.formats.delegates.op import Op, Source

Rule = Callable[[Op], str | None]

_INNERMOST = 3


def typed(*legal: str) -> Rule:
    """All computed tensors must have one of these types."""
    return lambda op: next((f"{kind} is not among {', '.join(legal)}" for kind in op.types if kind not in legal), None)


def float_version(most: int) -> Rule:
    """In floats the op's version must be at most `most`."""

    def judge(op: Op) -> str | None:
        is_float = any(kind.startswith("float") for kind in op.types)
        return f"version {op.version}: at most {most} in floats" if is_float and op.version > most else None

    return judge


def constant(place: int, what: str, *, codes: bool = False) -> Rule:
    """The input of that place, if there is one, must lie in the file; with `codes`, as integers and a scale, too."""
    legal = {Source.CONSTANT, *([Source.CODES] if codes else [])}

    def judge(op: Op) -> str | None:
        is_wrong = place < len(op.inputs) and op.inputs[place] not in legal
        return f"the {what} must be constant" if is_wrong else None

    return judge


def ranked(*legal: int) -> Rule:
    """The first tensor must have one of these numbers of dimensions."""

    def judge(op: Op) -> str | None:
        rank = len(op.shapes[0]) if op.shapes else legal[0]
        return None if rank in legal else f"{rank} dimensions, not {' or '.join(map(str, legal))}"

    return judge


def unfused(op: Op) -> str | None:
    """There must be no activation in the op itself."""
    return "with an activation in it" if op.is_fused else None


def fixed(op: Op) -> str | None:
    """All sizes must be known before the network runs."""
    return "a size that is not fixed" if any(None in shape for shape in op.shapes) else None


def innermost(op: Op) -> str | None:
    """Only the three innermost dimensions may be larger than 1."""
    outer = [size for shape in op.shapes for size in shape[:-_INNERMOST]]
    return "more than one in a batch" if any(size not in (1, None) for size in outer) else None


def reduced(op: Op) -> str | None:
    """No reduction along the batch; along channels only where these are a multiple of 4."""
    shape = op.shapes[0] if op.shapes else ()
    if op.axes is None or not shape:
        return None
    axes = {axis % len(shape) for axis in op.axes}
    if 0 in axes:
        return "reduces the batch"
    channels = shape[-1]
    return "reduces channels that are no multiple of 4" if len(shape) - 1 in axes and (channels or 1) % 4 else None


def softmaxed(op: Op) -> str | None:
    """Of one dimension, at most 16,000 elements."""
    shape = op.shapes[0] if op.shapes else ()
    if any(size not in (1, None) for size in shape[:-1]):
        return "of more than one dimension"
    return "of more than 16,000 elements" if shape and (shape[-1] or 1) > 16_000 else None


def first_reason(op: Op, rules: Collection[Rule]) -> str | None:
    """What the first of the rules that is broken says."""
    return next((why for rule in rules if (why := rule(op)) is not None), None)
