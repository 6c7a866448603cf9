"""Make a Core ML package of a SavedModel by coremltools, in a process that may fail in the place of the user's.

`python -m mbexport.formats.coreml.convert_process FOLDER` reads `request.json` and `saved` in the folder, writes
`package`, and answers with one line of JSON: {"error": null}, or why there is none.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from mbexport.formats.coreml.package import FILES, MANIFEST, MODEL, WEIGHTS, manifest_of
from mbexport.formats.trial_process import limit_cpu, silenced_output
from mbexport.models.facts import INPUT_NAME

REQUEST: Final = "request.json"
SAVED: Final = "saved"
PACKAGE: Final = "package"
LABEL: Final = "classLabel"  # as Apple's own classifiers name it
_DATE: Final = "com.github.apple.coremltools.conversion_date"
_MAX_CPU_S: Final = 1200  # half a minute is usual


def main(folder: Path) -> str | None:
    """Write the package; a line that says why there is none."""
    request = json.loads((folder / REQUEST).read_text("utf-8"))
    made = folder / "made.mlpackage"
    try:
        _converted(request, str(folder / SAVED)).save(str(made))
        files = _canonical({name: (made / name).read_bytes() for name in FILES}, request)
    except Exception as error:  # whatever a converter trips over
        return f"{type(error).__name__}: {error}"
    for name, content in files.items():
        place = folder / PACKAGE / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return None


def _converted(request: dict[str, Any], saved: str) -> Any:
    """What coremltools makes of the network: an MLModel, which is not loaded, for that needs macOS."""
    import coremltools as ct
    import coremltools.optimize.coreml as quantization

    is_grey = request["colour"] == "GRAYSCALE"
    image = ct.ImageType(
        name=INPUT_NAME,
        shape=request["shape"],
        scale=request["scale"],
        bias=request["bias"][0] if is_grey else request["bias"],
        color_layout=ct.colorlayout[request["colour"]],
    )
    model = ct.convert(
        saved,
        source="tensorflow",
        convert_to="mlprogram",
        inputs=[image],
        classifier_config=ct.ClassifierConfig(list(request["labels"]), predicted_feature_name=LABEL),
        minimum_deployment_target=ct.target[request["target"]],
        compute_precision=ct.precision.FLOAT16,
        skip_model_load=True,
    )
    if not request["is_quantized"]:
        return model
    how = quantization.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", granularity="per_channel")
    return quantization.linear_quantize_weights(model, config=quantization.OptimizationConfig(global_config=how))


def _canonical(files: dict[str, bytes], request: dict[str, Any]) -> dict[str, bytes]:
    """The same package without a date, drawn identifiers and names of the frontend, and with its metadata."""
    from coremltools.proto import Model_pb2

    model = Model_pb2.Model.FromString(files[MODEL])
    _rename(model.mlProgram.functions["main"])
    model.mlProgram.attributes.clear()  # versions, which the metadata have, too
    metadata = model.description.metadata
    del metadata.userDefined[_DATE]
    for name, text in request["words"].items():
        setattr(metadata, name, text)
    for name, text in request["properties"].items():
        metadata.userDefined[name] = text
    content: bytes = model.SerializeToString(deterministic=True)
    return {MANIFEST: manifest_of(content), MODEL: content, WEIGHTS: files[WEIGHTS]}


def _rename(function: Any) -> None:
    """Call each tensor after its operation, counted in the order of the program; inputs and outputs keep their names.

    The frontend's names are those of layers and scopes, and count what the process has made before.
    """
    block = function.block_specializations[function.opset]
    names = {each.name: each.name for each in (*function.inputs, *block.inputs)}
    names |= {name: name for name in block.outputs}
    counts: Counter[str] = Counter()
    for operation in block.operations:
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.HasField("name"):
                    binding.name = names[binding.name]
        for output in operation.outputs:
            if output.name not in names:
                names[output.name] = f"{operation.type}_{counts[operation.type]}"
                counts[operation.type] += 1
            output.name = names[output.name]
        if "name" in operation.attributes:
            given = operation.attributes["name"].immediateValue.tensor.strings
            del given.values[:]
            given.values.append(operation.outputs[0].name)


if __name__ == "__main__":
    out = os.fdopen(silenced_output(), "w", encoding="utf-8")
    limit_cpu(_MAX_CPU_S)
    reason = main(Path(sys.argv[1]))
    out.write(json.dumps({"error": reason}) + "\n")
    out.flush()
    os._exit(0)  # TensorFlow's threads need not be waited for
