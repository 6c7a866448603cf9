"""Load the serving graph of a SavedModel folder, after checking that its operations can do nothing but compute."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tensorflow as tf
import tf_keras
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from mbexport.errors import DataError
from mbexport.models.keras_import.files import report_damage
from mbexport.models.keras_import.heads import advice_on_outputs
from mbexport.models.keras_import.steps import require_chain_shape
from mbexport.models.resolution import Resolution

MAX_GRAPH_BYTES: Final = 2**28  # MobileNet v1, saved for training, takes 2 MB; its weights are in other files
# What a SavedModel of one network is made of. Anything else, such as a table or an asset, may run on loading.
_OBJECT_KINDS: Final = frozenset(
    {"bare_concrete_function", "captured_tensor", "constant", "function", "user_object", "variable"}
)
# What Keras writes for chains of layers, with training, augmentation, optimizers and checkpoints. None of these reads
# or writes a file, but for those of checkpoints, which are never called: only the serving signature is looked at.
ALLOWED_OPERATIONS: Final = frozenset(
    {
        "Abs", "Add", "AddN", "AddV2", "AdjustContrastv2", "All", "Any", "AssignAddVariableOp", "AssignSubVariableOp",
        "AssignVariableOp", "AvgPool", "BatchMatMulV2", "BiasAdd", "Bitcast", "BitwiseOr", "BroadcastTo", "Cast",
        "Ceil", "ClipByValue", "ConcatV2", "Const", "Conv2D", "Cos", "DepthwiseConv2dNative", "DisableCopyOnRead",
        "DivNoNan", "Einsum", "EnsureShape", "Equal", "Exp", "ExpandDims", "Fill", "Floor", "FloorDiv", "FloorMod",
        "FusedBatchNormV3", "GatherNd", "GatherV2", "Greater", "GreaterEqual", "HSVToRGB", "Identity", "IdentityN",
        "If", "ImageProjectiveTransformV3", "L2Loss", "LeakyRelu", "LeftShift", "Less", "LessEqual", "Log", "Log1p",
        "LogicalAnd", "LogicalNot", "LogicalOr", "MatMul", "MatrixSolve", "Max", "MaxPool", "Maximum", "Mean",
        "MergeV2Checkpoints", "Minimum", "Mul", "Neg", "NoOp", "NotEqual", "OnesLike", "Pack", "Pad", "PadV2",
        "PartitionedCall", "Placeholder", "PlaceholderWithDefault", "Pow", "Prod", "RGBToHSV", "RandomStandardNormal",
        "RandomUniform", "RandomUniformInt", "Range", "Rank", "ReadVariableOp", "RealDiv", "Reciprocal", "Relu",
        "Relu6", "Reshape", "ResizeBilinear", "RestoreV2", "ReverseV2", "RightShift", "RngReadAndSkip", "Round",
        "Rsqrt", "SaveV2", "Select", "SelectV2", "Shape", "ShapeN", "ShardedFilename", "Sigmoid", "Sin", "Slice",
        "Softmax", "Split", "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze", "StatefulPartitionedCall",
        "StatelessIf", "StatelessRandomGetAlg", "StatelessRandomGetKeyCounter", "StatelessRandomNormalV2",
        "StatelessRandomUniformFullIntV2", "StatelessRandomUniformIntV2", "StatelessRandomUniformV2", "StatelessWhile",
        "StaticRegexFullMatch", "StopGradient", "StridedSlice", "StringJoin", "Sub", "Sum", "Tan", "Tile", "Transpose",
        "Unpack", "VarHandleOp", "VarIsInitializedOp", "Where", "While", "ZerosLike",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingGraph:
    """A graph without variables, in which one image (1, h, w, channels) flows from `image` to the `outputs`.

    `function` is the same graph as it was stored, for `batch` images or, where that is None, for any number.
    """

    graph: Any
    image: Any
    outputs: tuple[Any, ...]
    input_shape: tuple[int, int, int]
    function: Any
    batch: int | None


def serving_graph(folder: Path, *, resolution: Resolution | None, trust: bool, has_heads: bool = False) -> ServingGraph:
    """The default signature of a SavedModel, its variables frozen and every shape known.

    Nothing in the folder is loaded before its operations are found to be harmless, and none of them is run.
    Raises `DataError` for any other operation, Lambda layers without `trust`, and more than one input or, unless the
    model `has_heads`, output.
    """
    _require_harmless(folder)
    if not trust:
        _require_no_lambda(folder)
    with report_damage(folder):
        try:
            loaded = tf.saved_model.load(str(folder))
        except tf.errors.OpError as error:
            raise DataError(
                f"the variables of {folder} cannot be read: {' '.join(str(error.message).split())}"
            ) from None
        signature = _signature(folder, loaded.signatures)
        _require_deterministic(folder, signature)
        _, named = signature.structured_input_signature
        outputs = signature.structured_outputs
        if len(named) != 1 or not (has_heads or len(outputs) == 1):
            advice = advice_on_outputs(list(outputs), "it must have one of each")
            raise DataError(f"{folder} has {len(named)} inputs and {len(outputs)} outputs: {advice}")
        (spec,) = named.values()
        shape = require_chain_shape(tuple(spec.shape), resolution=resolution)
        return _with_fixed_shape(convert_variables_to_constants_v2(signature), shape=shape, batch=spec.shape[0])


def _with_fixed_shape(frozen: Any, *, shape: tuple[int, int, int], batch: int | None) -> ServingGraph:
    """The frozen function as a graph that takes one image of `shape`."""
    given = image_of(frozen)
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(given.dtype, (1, *shape), name="mbexport_image")
        tf.import_graph_def(frozen.graph.as_graph_def(), input_map={given.name: image}, name="")
        outputs = tuple(graph.get_tensor_by_name(each.name) for each in frozen.outputs)
    return ServingGraph(graph=graph, image=image, outputs=outputs, input_shape=shape, function=frozen, batch=batch)


def image_of(frozen: Any) -> Any:
    """The tensor of a frozen function that takes the images."""
    (given,) = (tensor for tensor in frozen.inputs if tensor.dtype != tf.resource)
    return given


def _require_deterministic(folder: Path, signature: Any) -> None:
    """Raise `DataError` if the graph draws random numbers or sets variables, as one exported with augmentation does."""
    graph_def = signature.graph.as_graph_def()
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    for node in nodes:
        if any(part in node.op for part in ("Random", "Rng", "Assign")):
            raise DataError(
                f"{folder} changes images at random ({node.name}): export the model without its augmentation"
            )


def _signature(folder: Path, signatures: Any) -> Any:
    names = [name for name in signatures if not name.startswith("__")]
    if "serving_default" in names:
        return signatures["serving_default"]
    if len(names) != 1:
        raise DataError(f"{folder} must have a signature serving_default, or only one, got {names or 'none'}")
    return signatures[names[0]]


def _require_harmless(folder: Path) -> None:
    path = folder / "saved_model.pb"
    with report_damage(path):
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise DataError(f"{path} must take at most {MAX_GRAPH_BYTES} bytes, got {path.stat().st_size}")
        try:
            stored = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        except DecodeError as error:
            raise ValueError(error) from None
    if len(stored.meta_graphs) != 1 or not stored.meta_graphs[0].object_graph_def.nodes:
        raise DataError(f"{folder} was not written by TensorFlow 2: save the model again with it")
    (meta,) = stored.meta_graphs
    operations = {node.op for node in meta.graph_def.node}
    for function in meta.graph_def.library.function:
        operations |= {node.op for node in function.node_def}
    for operation in sorted(operations - ALLOWED_OPERATIONS):
        raise DataError(f"{folder} holds the operation {operation}, which is not allowed: nothing was loaded")
    for node in meta.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if kind not in _OBJECT_KINDS or node.saveable_objects or node.registered_saver:
            raise DataError(f"{folder} holds a {kind} that acts on loading, which is not allowed: nothing was loaded")


def _require_no_lambda(folder: Path) -> None:
    for layer in _described_layers(folder):
        if layer.get("class_name") == "Lambda":
            raise DataError(
                f"{folder} holds a Lambda layer ({layer.get('name')}), which runs code from the file when it is "
                "loaded: pass --trust if you trust it"
            )


def name_of_folder(folder: Path) -> str:
    """The name of the model in a SavedModel that Keras 2 wrote; empty where the folder does not say it."""
    return next((str(layer.get("name")) for layer in _described_layers(folder)), "")


def _described_layers(folder: Path) -> list[Any]:
    """What Keras 2 notes of the model, first, and of each of its layers; nothing where it wrote no notes."""
    path = folder / "keras_metadata.pb"
    if not path.exists():
        return []
    with report_damage(path):
        try:
            stored = tf_keras.protobuf.saved_metadata_pb2.SavedMetadata.FromString(path.read_bytes())
        except DecodeError as error:
            raise ValueError(error) from None
        return [json.loads(node.metadata) for node in stored.nodes]
