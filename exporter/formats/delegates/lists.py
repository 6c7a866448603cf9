"""What makers of delegates publish of the ops that they take, with the document and the version that was read.

No op is here because it is known to work, only because a document names it. Options of ops are left out.
"""

from typing import Final

from mbexport.formats.delegates.published import PublishedList
from mbexport.formats.delegates.rules import (
    Rule,
    constant,
    fixed,
    float_version,
    innermost,
    ranked,
    reduced,
    softmaxed,
    typed,
    unfused,
)


def _each(names: str, *rules: Rule) -> dict[str, tuple[Rule, ...]]:
    return dict.fromkeys(names.split(), rules)


GPU: Final = PublishedList(
    source="TensorFlow Lite on GPU, Supported ops (tensorflow/lite/g3doc/performance/gpu_advanced.md)",
    as_of="TensorFlow, commit 021bfd4",
    ops={
        **_each(
            "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D EXP FULLY_CONNECTED LOGISTIC MAX_POOL_2D MAXIMUM MINIMUM MUL "
            "PAD PRELU RELU RELU6 RESHAPE SOFTMAX STRIDED_SLICE SUB TRANSPOSE_CONV",
            float_version(1),
        ),
        **_each("DEPTHWISE_CONV_2D", float_version(2)),
        **_each("RESIZE_BILINEAR", float_version(3)),
        # "already supports float16 quantized models": their weights come out of this op.
        **_each("DEQUANTIZE", constant(0, "input")),
    },
    rules=(typed("float32", "float16", "int8", "uint8"),),
    note="for TFLite's own delegate; it computes 8-bit files in floats, where the app allows them",
)

EDGE_TPU: Final = PublishedList(
    source="Coral, TensorFlow models on the Edge TPU, Supported operations",
    as_of="an older and a newer version, as others quote them",
    ops={
        **_each(
            "ADD CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED L2_NORMALIZATION LOGISTIC MAXIMUM MINIMUM MUL "
            "PACK PAD PRELU QUANTIZE RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SLICE "
            "SPACE_TO_DEPTH SPLIT SQUEEZE STRIDED_SLICE SUB TANH"
        ),
        **_each("AVERAGE_POOL_2D CONCATENATION MAX_POOL_2D", unfused),
        **_each("MEAN REDUCE_MAX REDUCE_MIN", reduced),
        **_each("SOFTMAX", softmaxed),
    },
    rules=(typed("int8", "uint8"), fixed, innermost),
    is_one_piece=True,
    note="its compiler may leave large tensors to the CPU, too",
)

COREML: Final = PublishedList(
    source="onnxruntime, CoreML Execution Provider, ML Program (coreml_supported_mlprogram_ops.md)",
    as_of="onnxruntime, commit 04f568d",
    ops={
        **_each(
            "Add ArgMax Cast Ceil Clip Concat Cos DepthToSpace Div Elu Erf Exp GatherND Gelu GridSample "
            "GroupNormalization HardSigmoid Identity InstanceNormalization LayerNormalization LeakyRelu MatMul Max Mul "
            "PRelu Pow Range Reciprocal ReduceMax ReduceMean ReduceSum Relu Reshape Resize Round Shape Sigmoid Sin "
            "Softmax Softplus Sqrt Squeeze Sub Tanh Tile Transpose Unsqueeze com.microsoft:QuickGelu"
        ),
        **_each("AveragePool GlobalAveragePool GlobalMaxPool MaxPool", ranked(4)),
        **_each("Conv com.microsoft:FusedConv", ranked(3, 4), constant(2, "bias")),
        **_each("ConvTranspose", constant(1, "weight"), constant(2, "bias")),
        **_each("Gemm", constant(1, "input B")),
        **_each("Slice", *(constant(place, what) for place, what in enumerate(("starts", "ends", "axes", "steps"), 1))),
        **_each("Split", constant(1, "splits")),
    },
    # Source: base_op_builder.cc, which takes floats alone unless an op says otherwise; indices are let through here.
    rules=(typed("float32", "float16", "int32", "int64", "bool"),),
    note="quantized ops are not in it",
)

NNAPI: Final = PublishedList(
    source="onnxruntime, NNAPI Execution Provider (nnapi_supported_ops.md)",
    as_of="onnxruntime, commit 5308675",
    ops={
        **_each(
            "Abs Add Cast Clip Concat DepthToSpace Div Elu Exp Flatten Floor Gather Gemm Identity Log MatMul Max Min "
            "Mul Neg Pad Pow PRelu Relu Reshape Sigmoid Sin Slice Softmax Sqrt Squeeze Sub Tanh Transpose Unsqueeze"
        ),
        **_each("AveragePool GlobalAveragePool GlobalMaxPool MaxPool Resize", ranked(4)),
        **_each("Conv", ranked(4), constant(1, "weight", codes=True), constant(2, "bias", codes=True)),
        **_each("DequantizeLinear QuantizeLinear", constant(1, "scale"), constant(2, "zero point")),
    },
    note="its QLinear ops are left out; Android deprecated NNAPI with version 15",
)
