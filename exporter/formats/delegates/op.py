"""What is asked of an op: its name, what goes in and comes out, and whether that is known before it runs."""

from dataclasses import dataclass
from enum import StrEnum

Shape = tuple[int | None, ...]  # None for a size that is known only when the op runs


class Source(StrEnum):
    """Where an input comes from: the file, integers in the file that an op makes floats of, or an op."""

    CONSTANT = "constant"
    CODES = "codes"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One op of a graph.

    `types` and `shapes` are those of the computed tensors that go in and come out, as far as they are known; `inputs`
    says of each input where it comes from. An op `is_fused` with an activation behind it, and reduces along `axes`,
    None where it reduces nothing, or where they are not known.
    """

    name: str
    is_custom: bool = False
    version: int = 1
    types: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()
    inputs: tuple[Source, ...] = ()
    is_fused: bool = False
    axes: tuple[int, ...] | None = None
