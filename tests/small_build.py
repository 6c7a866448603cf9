"""The finished build of a small trained network that tests share, and the network in it.

Its float weights are committed, so that nobody trains to run tests. `python tests/small_build.py` trains them anew
(`make test-network`); `python tests/small_build.py FOLDER` finishes a build of them in FOLDER.
"""

import ast
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from command_line import run_in_its_own_process
from filelock import FileLock

import mbexport
from mbexport.cli import run
from mbexport.fingerprint import library_versions
from mbexport.models.facts import facts_to_json
from mbexport.pipeline import build
from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Files
from mbexport.pipeline.stage_files import HISTORY, NETWORK, WEIGHTS

ROOT = Path(__file__).resolve().parent.parent
# The network is small, yet trained well enough that its answers mean something.
OPTIONS = ("--alpha", "0.25", "--resolution", "32", "--epochs", "24", "--qat-steps", "33", "--int8")
_COMMITTED = ROOT / "tests" / "data" / "small_network"
_FOLDER = ROOT / "build" / "tests" / "small"


def small_build() -> Path:
    """The folder of a finished build of the network.

    It lies in `build/tests`, for other sessions and processes too, and is made again when something that can change
    it has changed: code, but neither comments nor docstrings, templates, libraries, the committed weights.
    """
    return kept(_FOLDER, fingerprint(), _finish)


def kept(folder: Path, current: str, make: Callable[[Path], None]) -> Path:
    """The folder as `make` leaves it, which is called if it was last filled from something of another fingerprint."""
    stamp = folder.with_suffix(".fingerprint")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (stamp.exists() and stamp.read_text() == current):
            stamp.unlink(missing_ok=True)
            make(folder)
            stamp.write_text(current)
    return folder


def fingerprint(options: Sequence[str] = OPTIONS, sources: Sequence[Path] = (_COMMITTED,)) -> str:
    """A hash of all that a build with these options is made of: code, libraries, and files below `sources`."""
    digest = hashlib.sha256(json.dumps([options, library_versions()]).encode())
    for file in _files(Path(mbexport.__file__).parent, *sources):
        content = file.read_bytes()
        digest.update(os.fsencode(file.name) + (code_of(content) if file.suffix == ".py" else content))
    return digest.hexdigest()


def code_of(source: bytes) -> bytes:
    """What a module does: its syntax tree without comments, docstrings and line numbers."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body.pop(0)
    return ast.dump(tree).encode()


def committed_network(run: Context) -> Files:
    """What the stage `train` would leave: the committed weights and history of a training."""
    from mbexport.models.mobilenet_v1.network import build as network_of
    from mbexport.models.network import facts_of_spec
    from mbexport.models.weights import arrays_to_bytes, weights_from_bytes

    with np.load(_COMMITTED / WEIGHTS) as stored:
        weights = arrays_to_bytes({name: stored[name].astype(np.float32) for name in stored.files})
    spec: Any = run.plan.origin.spec
    model = network_of(spec)
    weights_from_bytes(model, weights, source=str(_COMMITTED))
    facts = facts_of_spec(model, spec, run.plan.preprocess(resolution=spec.resolution))
    history = (_COMMITTED / HISTORY).read_bytes()
    return {NETWORK: facts_to_json(facts).encode(), WEIGHTS: weights, HISTORY: history}


def main() -> int:
    """Train the network, or finish a build of it in the folder that is given."""
    if sys.argv[1:]:
        build.STAGES = tuple(
            replace(stage, work=committed_network) if stage.name == "train" else stage for stage in build.STAGES
        )
        return run(["build", *OPTIONS, "--out", sys.argv[1]])
    _train()
    return 0


def _finish(folder: Path) -> None:
    done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _train() -> None:
    """Build the network, and commit its weights as 16-bit floats: the stage after the training computes with those."""
    out = ROOT / "build" / "tests" / "trained"
    done = run_in_its_own_process("build", *OPTIONS, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    stage = out / ".mbexport" / "stages" / "train"
    content = io.BytesIO()
    with np.load(stage / WEIGHTS) as weights:
        np.savez_compressed(content, **{name: weights[name].astype(np.float16) for name in weights.files})
    _COMMITTED.mkdir(parents=True, exist_ok=True)
    (_COMMITTED / WEIGHTS).write_bytes(content.getvalue())
    (_COMMITTED / HISTORY).write_bytes((stage / HISTORY).read_bytes())


def _files(*folders: Path) -> Iterator[Path]:
    """Every file below the folders, or given in their place, in order; through links, which hold a package together."""
    for folder in folders:
        if folder.is_file():
            yield folder
        for base, below, names in os.walk(folder, followlinks=True):
            below[:] = sorted(set(below) - {"__pycache__"})
            yield from (Path(base) / name for name in sorted(names))


if __name__ == "__main__":
    sys.exit(main())
