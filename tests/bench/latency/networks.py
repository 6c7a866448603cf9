"""Every file whose speed is compared: ours, other quantizers', and Google's own."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from peers.making import (
    SUFFIXES,
    Images,
    Made,
    Peer,
    ProcessError,
    export,
    given_files,
    made_by_peer,
    run,
)

from mbexport.models.architectures import MOBILENET_V1

HERE: Final = Path(__file__).parent
PRECISIONS: Final = ("fp32", "fp16", "int8")
TFLITE_PTQ, ORT_STATIC, GOOGLE = "TFLite PTQ", "onnxruntime quantize_static", "Google's reference"
QAT_STEPS: Final = 5  # kernels do not depend on what a network learned
_QAT: Final = "tfmot QAT"
_RATE: Final = "1e-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network of the benchmark: its stored weights, or random ones; `reference` is Google's file of the same."""

    alpha: float
    resolution_px: int
    weights: str | None
    reference: str | None = None

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"{self.alpha:g}/{self.resolution_px}"

    @property
    def folder(self) -> str:
        """The name of the folder of its files."""
        return f"{self.alpha:g}-{self.resolution_px}"


PEERS: Final = (
    Peer(name=TFLITE_PTQ, script="by_tflite.py", suffix="tflite"),
    Peer(name=ORT_STATIC, script="by_onnxruntime.py", suffix="onnx", requirements="onnxruntime"),
    Peer(name=_QAT, script="by_tfmot.py", suffix="tflite", arguments=(str(QAT_STEPS), _RATE)),
    Peer(
        name=f"naive tf2onnx of {_QAT} in Keras",
        script="by_tf2onnx_keras.py",
        suffix="onnx",
        arguments=(str(QAT_STEPS), _RATE),
    ),
)


def naive_twin(alpha: float, name: str) -> Peer:
    """What tf2onnx alone makes of the .tflite that `name` made at this alpha."""
    return Peer(
        name=f"naive tf2onnx of the {name} .tflite",
        script="by_tf2onnx_tflite.py",
        suffix="onnx",
        arguments=(f"{alpha:g} {name}.tflite",),
    )


def our_name(precision: str) -> str:
    """What tables call our file of this precision."""
    return f"ours, {precision}"


def all_made(
    network: Network, shared: Path, images: Images, folder: Path, *, on_step: Callable[[str], None]
) -> list[Made]:
    """Every file of `network`, made into `folder`, from the stored weights and references in the folder `shared`.

    Raises `ProcessError` if the network itself cannot be made; what fails later is a row without a file.
    """
    shutil.rmtree(folder, ignore_errors=True)  # what an earlier run left must not pass for a result of this one
    folder.mkdir(parents=True)
    on_step("float")
    alpha, px = network.alpha, network.resolution_px
    weights = shared / "weights" / network.weights if network.weights else random_weights(network, images, folder)
    given_files(alpha, weights, px, images, folder)
    on_step("ours")
    rows = exported(network, weights, images, folder)
    for peer in (*PEERS, naive_twin(alpha, _QAT), naive_twin(alpha, TFLITE_PTQ)):
        on_step(peer.name)
        rows.append(made_by_peer(peer, alpha, folder, folder))
    if network.reference:
        rows.append(Made(alpha=alpha, name=GOOGLE, suffix="tflite", path=shared / "reference" / network.reference))
    return rows


def random_weights(network: Network, images: Images, folder: Path) -> Path:
    """A file of weights that nobody trained, whose activations are as wide as a trained network's."""
    path = folder / "random.h5"
    described = (MOBILENET_V1.name, network.alpha, network.resolution_px)
    run([sys.executable, HERE / "random_weights.py", *described, images.calibration, path])
    return path


def exported(network: Network, weights: Path, images: Images, folder: Path) -> list[Made]:
    """Our files of every precision, by one run of `mbexport export`; a row without a file says why there is none."""
    out, reason = folder / "ours", ""
    options = [option for precision in PRECISIONS for option in ("--precision", precision)]
    try:
        export(
            network.alpha, weights, images, out, [*options, "--resolution", network.resolution_px, "--no-sensitivity"]
        )
    except ProcessError as failure:
        reason = str(failure)
    return [_ours(network, precision, suffix, out, reason) for precision in PRECISIONS for suffix in SUFFIXES]


def _ours(network: Network, precision: str, suffix: str, out: Path, reason: str) -> Made:
    name = our_name(precision)
    found = next(out.glob(f"*_{precision}.{suffix}"), None)
    if found is None:
        return Made(alpha=network.alpha, name=name, suffix=suffix, reason=reason or "no file was made")
    return Made(alpha=network.alpha, name=name, suffix=suffix, path=found)
