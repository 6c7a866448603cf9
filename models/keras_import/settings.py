"""List the settings of each supported layer: those that are read, and those that change no answer.

A setting that is in neither list is refused, so that none is passed over in silence.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.models.keras_import.calls import Call

_WINDOW: Final = frozenset({"strides", "padding", "data_format"})
_KERNEL: Final = _WINDOW | {"kernel_size", "dilation_rate", "groups", "activation", "use_bias"}
_DEPTHWISE: Final = _KERNEL | {"depth_multiplier"}
_NOTHING: Final[frozenset[str]] = frozenset()
_RELU: Final = frozenset({"max_value", "negative_slope", "threshold"})

TRAINING_ONLY: Final = frozenset(
    {
        "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D",
        "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomErasing",
        "RandomElasticTransform", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue",
        "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
        "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom",
    }
)  # fmt: skip
# What decides the answers of a layer, by its class. `Call.config` may hold more, but nothing else that counts.
READ: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Conv2D": _KERNEL | {"filters"},
        "DepthwiseConv2D": _DEPTHWISE,
        "SeparableConv2D": _DEPTHWISE | {"filters"},
        "Dense": frozenset({"units", "activation", "use_bias"}),
        **dict.fromkeys(
            ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
            frozenset({"axis", "epsilon", "center", "scale"}),
        ),
        "ReLU": _RELU,
        "Activation": frozenset({"activation"}),
        "LeakyReLU": frozenset({"alpha", "negative_slope"}),
        "PReLU": frozenset({"shared_axes"}),
        "Softmax": frozenset({"axis"}),
        "ZeroPadding2D": frozenset({"padding", "data_format"}),
        **dict.fromkeys(("GlobalAveragePooling2D", "GlobalAvgPool2D"), frozenset({"data_format", "keepdims"})),
        **dict.fromkeys(("GlobalMaxPooling2D", "GlobalMaxPool2D"), frozenset({"data_format", "keepdims"})),
        **dict.fromkeys(("AveragePooling2D", "AvgPool2D"), _WINDOW | {"pool_size"}),
        **dict.fromkeys(("MaxPooling2D", "MaxPool2D"), _WINDOW | {"pool_size"}),
        "Flatten": frozenset({"data_format"}),
        "Reshape": frozenset({"target_shape"}),
        "Rescaling": frozenset({"scale", "offset"}),
        "Normalization": frozenset({"axis", "mean", "variance", "invert"}),
        "TFOpLambda": frozenset({"function"}),
        "Cast": frozenset({"dtype"}),
        "Clip": frozenset({"x_min", "x_max"}),
        "LeakyRelu": frozenset({"negative_slope"}),
        "Mean": frozenset({"axis", "keepdims"}),
        **dict.fromkeys(("HardSigmoid", "HardSilu", "HardSwish", "Silu", "Swish"), _NOTHING),
        **dict.fromkeys(("Relu", "Relu6", "Sigmoid", "TrueDivide", "Divide", "Identity", "StopGradient"), _NOTHING),
        "Concatenate": frozenset({"axis"}),
        **dict.fromkeys(("Add", "Average", "Subtract", "Multiply"), _NOTHING),
        **dict.fromkeys(TRAINING_ONLY, _NOTHING),
    }
)
# Names, shapes that the layer's place in the chain gives, and what is used in training alone.
_WITHOUT_EFFECT: Final = frozenset(
    {
        "name", "trainable", "dtype", "autocast", "batch_input_shape", "batch_shape", "batch_size", "input_dim",
        "input_dtype", "input_shape", "momentum", "renorm_clipping", "renorm_momentum", "synchronized", "fused",
    }
)  # fmt: skip
_WITHOUT_EFFECT_ENDINGS: Final = ("_initializer", "_regularizer", "_constraint")
# A layer of half precision is computed in float32 here, as in every exported file.
_FLOAT_POLICIES: Final = frozenset(
    {"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16", "_infer"}
)
_QUANTIZED: Final = "_from_"  # int8_from_float32: how Keras 3 names the policies of quantize()
_WRAPPERS: Final = MappingProxyType(
    {
        "Quantize": "is wrapped for quantization-aware training by TensorFlow Model Optimization: the float model, "
        "from before it was wrapped, is wanted",
        "PruneLowMagnitude": "is wrapped for pruning by TensorFlow Model Optimization: save the model that "
        "strip_pruning gives",
    }
)


def require_known_settings(call: Call) -> None:
    """Raise `DataError` for a setting that is not known, and for a layer that does not compute in floats."""
    _require_float(call)
    if call.class_name in TRAINING_ONLY:
        return
    for key, value in call.config.items():
        is_known = key in READ[call.class_name] or key in _WITHOUT_EFFECT or key.endswith(_WITHOUT_EFFECT_ENDINGS)
        if not is_known and not _is_off(value):
            raise DataError(f"{call} has the setting {key} {value!r}, which is not supported")


def require_not_wrapped(name: str, class_name: str) -> None:
    """Raise `DataError` for a layer that a tool for quantization or pruning has put around another."""
    for beginning, words in _WRAPPERS.items():
        if class_name.startswith(beginning):
            raise DataError(f"layer {name} ({class_name}) {words}")


def _require_float(call: Call) -> None:
    policy = call.config.get("dtype")
    name = policy_name(policy)
    if _QUANTIZED in name or not _is_off(call.config.get("quantization_config")):
        raise DataError(
            f"{call} was quantized by Keras ({name.partition(_QUANTIZED)[0]}): save the float model, from before "
            "quantize(), and export that"
        )
    if policy is not None and call.class_name != "Cast" and name not in _FLOAT_POLICIES:
        raise DataError(f"{call} computes in {name}: it must be a type of floats")


def policy_name(policy: Any) -> str:
    """The name of a type or a policy of types, as Keras 2 or 3 writes it."""
    if isinstance(policy, dict):
        inner = policy.get("config") or {}
        if "source_name" in inner:
            return f"{inner.get('mode')}{_QUANTIZED}{inner['source_name']}"
        policy = inner.get("name", policy.get("class_name"))
    return str(policy)


def _is_off(value: Any) -> bool:
    return value is None or value is False or value == 0 or value in ([], {}, "")
