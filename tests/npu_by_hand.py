"""A compiled .tflite as LiteRT writes it, by hand: one op for the whole graph, and the graph behind the flatbuffer."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from tflite_by_hand import tflite_of

from mbexport.calibration.affine import Affine
from mbexport.formats.tflite.file import packed

SCALE = Affine(scale=(1 / 256,), zero_point=(0,))
SOURCE = tflite_of("uint8", affine=SCALE)


def compiled_of(source: bytes = SOURCE, *, binary: bytes = b"compiled graph", ops: int = 1) -> bytes:
    """The file with compiled ops in the place of its own, as LiteRT writes it: the graph lies behind the flatbuffer."""
    model = schema.ModelT.InitFromPackedBuf(source, 0)
    code = schema.OperatorCodeT()
    code.builtinCode, code.customCode, code.version = schema.BuiltinOperator.CUSTOM, b"DISPATCH_OP", 1
    code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    graph = model.subgraphs[0]
    op = graph.operators[0]
    op.opcodeIndex, op.builtinOptions, op.inputs = 0, None, np.array(graph.inputs)
    model.operatorCodes, graph.operators = [code], [op] * ops

    def written(start: int) -> bytes:
        options = {"bytecode_offset": start, "bytecode_size": len(binary), "name": "qnn_partition_0"}
        op.customOptions = np.frombuffer(flexbuffers.Dumps(options), np.uint8)
        return packed(model)

    start = 1 << 15  # behind whatever the flatbuffer takes
    return written(start).ljust(start, b"\0") + binary
