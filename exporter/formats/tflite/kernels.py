"""The ops that LiteRT executes for a .tflite file, and which of them its delegate took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from mbexport.errors import DataError
from mbexport.formats.kernel_path import Share
from mbexport.formats.kernels import BUILTIN, DELEGATE, Kernels, kernel_rows
from mbexport.formats.runner import Runner
from mbexport.formats.tflite.runner import TfliteRunner

_DELEGATE_OP: Final = "DELEGATE"  # what LiteRT puts in the place of each partition


def tflite_kernels(runner: Runner) -> Kernels:
    """The ops of a loaded .tflite file. Raises `DataError` for a runner of another format."""
    if not isinstance(runner, TfliteRunner):
        raise DataError(f"{runner.path} must be opened as a .tflite file, got {runner.runtime}")
    ops = runner.op_details()
    inside = delegated(ops)
    return Kernels(
        rows=kernel_rows(
            (
                op["op_name"],
                tuple(np.dtype(kind).name for kind in op["operand_types"]),
                np.dtype(op["result_types"][0]).name,
                DELEGATE if place in inside else BUILTIN,
            )
            for place, op in enumerate(ops)
            if op["op_name"] != _DELEGATE_OP
        ),
        partitions=sum(op["op_name"] == _DELEGATE_OP for op in ops),
    )


def delegate_share(runner: Runner) -> Share:
    """The ops that LiteRT's delegate takes. Raises `DataError` for a runner of another format."""
    kernels = tflite_kernels(runner)
    left: Counter[str] = Counter()
    for row in kernels.rows:
        left.update({row.op: row.count} if row.executor != DELEGATE else {})
    return Share(
        taken=kernels.delegated_ops,
        total=kernels.delegated_ops + kernels.other_ops,
        partitions=kernels.partitions,
        left=tuple(sorted(left.items())),
        executor="LiteRT's own kernels",
    )


def delegated(ops: Sequence[Mapping[str, Any]]) -> frozenset[int]:
    """The places in LiteRT's op list of the ops that a delegate took.

    LiteRT keeps these ops in its list and adds one op for each partition, which names the tensors that the partition
    reads and those that it gives. Whatever leads from the first to the last lies inside: every tensor from outside is
    one of those that are read, and a partition gives what others use.
    """
    makers = {
        int(tensor): place for place, op in enumerate(ops) if op["op_name"] != _DELEGATE_OP for tensor in op["outputs"]
    }
    found: set[int] = set()
    for partition in (op for op in ops if op["op_name"] == _DELEGATE_OP):
        read, wanted = set(map(int, partition["inputs"])), list(map(int, partition["outputs"]))
        while wanted:
            tensor = wanted.pop()
            if tensor in read or tensor not in makers or makers[tensor] in found:
                continue
            found.add(makers[tensor])
            wanted += map(int, ops[makers[tensor]]["inputs"])
    return frozenset(found)
