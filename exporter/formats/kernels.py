"""The ops that a runtime really executes: who executes each, and in which arithmetic."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DELEGATE: Final = "xnnpack"  # the one delegate that LiteRT takes by itself
BUILTIN: Final = "builtin"
# Convolutions and matrix products, as onnxruntime's graph after its own optimization and LiteRT's op list name them.
_HYBRID: Final = frozenset({"DynamicQuantizeMatMul", "MatMulNBits"})
_CONVOLUTIONS: Final = _HYBRID | frozenset(
    {
        *("Conv", "FusedConv", "NhwcFusedConv", "Gemm", "MatMul", "FusedMatMul", "FusedGemm"),
        *("QLinearConv", "ConvInteger", "QGemm", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat"),
        *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
    }
)
_WEIGHTS: Final = frozenset({"int4", "int8", "uint8"})


class Arithmetic(StrEnum):
    """What an op computes in.

    `HYBRID` is a convolution with integer weights between floats: some kernels multiply the weights as floats, others
    make codes of each image's activations as they go, and none has activations in integers. `CONVERSION` is an op
    that takes the one and gives the other.
    """

    INTEGER = "integer"
    FLOAT = "float"
    HYBRID = "hybrid"
    CONVERSION = "conversion"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRow:
    """So many ops of one name, whose inputs have these types, executed by one `executor` in one arithmetic.

    The executor is LiteRT's delegate or its builtin kernels, or onnxruntime's provider, which does not list the
    weights that it packed when it loaded them.
    """

    op: str
    count: int
    arithmetic: Arithmetic
    executor: str
    inputs: tuple[str, ...]

    @property
    def is_convolution(self) -> bool:
        """Whether this is a convolution or a matrix product."""
        return self.op in _CONVOLUTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """Every op that the runtime executes, and into how many partitions a delegate put those that it took."""

    rows: tuple[KernelRow, ...]
    partitions: int = 0

    @property
    def int8_convs(self) -> int:
        """Convolutions and matrix products with integer weights and integer activations, of 8 or of 16 bits."""
        return self._convolutions(Arithmetic.INTEGER)

    @property
    def float_convs(self) -> int:
        """All others, hybrid ones among them."""
        return self.hybrid_convs + self._convolutions(Arithmetic.FLOAT)

    @property
    def hybrid_convs(self) -> int:
        """Those whose weights alone are integers."""
        return self._convolutions(Arithmetic.HYBRID)

    @property
    def ops(self) -> tuple[tuple[str, int], ...]:
        """Every op's name with its count, by name."""
        counts: Counter[str] = Counter()
        for row in self.rows:
            counts[row.op] += row.count
        return tuple(sorted(counts.items()))

    @property
    def delegated_ops(self) -> int:
        """How many ops a delegate took."""
        return sum(row.count for row in self.rows if row.executor == DELEGATE)

    @property
    def other_ops(self) -> int:
        """How many it left, or all where there is none."""
        return sum(row.count for row in self.rows) - self.delegated_ops

    def _convolutions(self, arithmetic: Arithmetic) -> int:
        return sum(row.count for row in self.rows if row.is_convolution and row.arithmetic is arithmetic)


def kernels_json(kernels: Kernels) -> dict[str, int]:
    """How many convolutions run in integers and in floats, hybrid ones among the latter; how many ops a delegate took.

    `partitions` are the pieces that the delegate's ops form; onnxruntime on the CPU has none.
    """
    return {
        "int8_convs": kernels.int8_convs,
        "float_convs": kernels.float_convs,
        "hybrid_convs": kernels.hybrid_convs,
        "delegated_ops": kernels.delegated_ops,
        "other_ops": kernels.other_ops,
        "partitions": kernels.partitions,
    }


def arithmetic_of(op: str, *, inputs: Sequence[str], result: str) -> Arithmetic:
    """What an op computes in, by the types of its inputs, the data first, and of its first output."""
    takes, gives = _is_integer(inputs[0] if inputs else result), _is_integer(result)
    if op not in _CONVOLUTIONS:
        if takes is not gives:
            return Arithmetic.CONVERSION
        return Arithmetic.INTEGER if takes else Arithmetic.FLOAT
    if takes:
        return Arithmetic.INTEGER
    has_integer_weights = op in _HYBRID or not _WEIGHTS.isdisjoint(inputs[1:])
    return Arithmetic.HYBRID if has_integer_weights else Arithmetic.FLOAT


def kernel_rows(executed: Iterable[tuple[str, tuple[str, ...], str, str]]) -> tuple[KernelRow, ...]:
    """What was executed, (name, types of the inputs, type of the result, executor) each, counted and in order."""
    counts = Counter(
        (op, arithmetic_of(op, inputs=inputs, result=result), executor, inputs)
        for op, inputs, result, executor in executed
    )
    return tuple(
        KernelRow(op=op, count=count, arithmetic=arithmetic, executor=executor, inputs=inputs)
        for (op, arithmetic, executor, inputs), count in sorted(counts.items())
    )


def _is_integer(kind: str) -> bool:
    return kind.startswith(("int", "uint"))
