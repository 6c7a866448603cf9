"""The cases of the fuzzer: from a number, a changed file in a folder and the command that reads it."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fuzz.corpus import DETECTOR_RUN, RUN, STEM, SWEEP
from fuzz.data_mutations import BY_ENDING
from fuzz.mutations import (
    Mutation,
    bytes_changed,
    hdf5_changed,
    json_changed,
    keras_changed,
    onnx_changed,
    text_changed,
    tflite_changed,
    toml_changed,
)

Command = list[str]


def _model(path: Path, rng: random.Random, corpus: Path) -> Command:
    """A command that opens a file that any runtime runs."""
    image = str(corpus / "image.png")
    return rng.choice(
        [
            ["inspect", str(path)],
            ["inspect", str(path), "--kernels", "--json"],
            ["inspect", str(path), "--delegates"],
            ["predict", str(path), image],
            ["predict", str(path), image, "--preprocess", "mobilenet", "--json"],
            ["bench", str(path), "--runs", "2", "--no-probe", "--threads", "1"],
            ["verify", str(path), "--data", "digits", "--no-latency"],
        ]
    )


def _changed(source: str, mutation: Mutation) -> "Callable[[Path, Path, random.Random], Path]":
    def make(folder: Path, corpus: Path, rng: random.Random) -> Path:
        original = corpus / source
        path = folder / original.name
        path.write_bytes(mutation(original.read_bytes(), rng))
        return path

    return make


def _artifact(source: str, mutation: Mutation) -> "Callable[[Path, Path, random.Random], Command]":
    make = _changed(source, mutation)
    return lambda folder, corpus, rng: _model(make(folder, corpus, rng), rng, corpus)


def _keras(source: str, mutation: Mutation) -> "Callable[[Path, Path, random.Random], Command]":
    make = _changed(source, mutation)

    def case(folder: Path, corpus: Path, rng: random.Random) -> Command:
        path = str(make(folder, corpus, rng))
        dry = ["export", "--model", path, "--data", "digits", "--dry-run", "--out", str(folder / "out")]
        image = str(corpus / "image.png")
        return rng.choice([["inspect", path], ["predict", path, image, "--preprocess", "mobilenet"], dry])

    return case


def _detector(source: str, mutation: Mutation) -> "Callable[[Path, Path, random.Random], Command]":
    make = _changed(source, mutation)

    def case(folder: Path, corpus: Path, rng: random.Random) -> Command:
        path = make(folder, corpus, rng)
        verify = ["verify", str(path), "--data", str(corpus / "voc"), "--no-latency"]
        return verify if rng.random() < 0.3 else _model(path, rng, corpus)

    return case


def _compiled(source: str, mutation: Mutation) -> "Callable[[Path, Path, random.Random], Command]":
    """A file that no runtime here can run."""
    make = _changed(source, mutation)
    return lambda folder, corpus, rng: _model(make(folder, corpus, rng), rng, corpus)


def _data_set(name: str, *command: str) -> "_Case":
    """A changed file in a data set; `command` has {data} in the place of its folder."""

    def case(folder: Path, corpus: Path, rng: random.Random) -> Command:
        data = folder / name
        shutil.copytree(corpus / name, data)
        files = sorted(path for path in data.rglob("*") if path.is_file())
        endings = sorted({path.suffix for path in files})
        path = rng.choice([each for each in files if each.suffix == rng.choice(endings)] or files)
        path.write_bytes(BY_ENDING[path.suffix](path.read_bytes(), rng))
        return [word.format(data=data, out=folder / "out", corpus=corpus) for word in command]

    return case


def _saved_model(folder: Path, corpus: Path, rng: random.Random) -> Command:
    shutil.copytree(corpus / "saved", folder / "saved")
    files = sorted(path for path in (folder / "saved").rglob("*") if path.is_file())
    path = rng.choice(files)
    path.write_bytes(bytes_changed(path.read_bytes(), rng))
    return ["inspect", str(folder / "saved")]


def _finished(name: str, mutation: Mutation, commands: "tuple[tuple[str, ...], ...]", *, run: str = RUN) -> "_Case":
    """A changed file in a finished folder, whose manifest lists it as it is: whoever changed it could do that, too."""

    def case(folder: Path, corpus: Path, rng: random.Random) -> Command:
        out = folder / run
        shutil.copytree(corpus / run, out)
        (out / name).write_bytes(mutation((out / name).read_bytes(), rng))
        if rng.random() < 0.8:
            _list_again(out, name)
        return [each.format(out=out, stem=STEM) for each in rng.choice(commands)]

    return case


def _list_again(out: Path, name: str) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    content = (out / name).read_bytes()
    manifest["files"][name] |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (out / "manifest.json").write_text(json.dumps(manifest))


def _manifest(folder: Path, corpus: Path, rng: random.Random) -> Command:
    out = folder / RUN
    shutil.copytree(corpus / RUN, out)
    (out / "manifest.json").write_bytes(json_changed((out / "manifest.json").read_bytes(), rng))
    commands = (
        ["bundle", str(out)],
        ["bundle", str(out), "--check"],
    )
    return rng.choice(commands)


def _published(folder: Path, corpus: Path, rng: random.Random) -> Command:
    out = folder / RUN
    shutil.copytree(corpus / RUN, out)
    (out / ".mbexport").mkdir()
    (out / ".mbexport" / "published.json").write_bytes(json_changed(b'["report.json", "android/x", "y"]', rng))
    return ["bundle", str(out)]


def _config(folder: Path, corpus: Path, rng: random.Random) -> Command:
    path = _changed("options.toml", toml_changed)(folder, corpus, rng)
    command = rng.choice([["build", "--dry-run"], ["predict", str(corpus / "model.h5"), str(corpus / "image.png")]])
    return [*command, "--config", str(path)]


def _ranges(folder: Path, corpus: Path, rng: random.Random) -> Command:
    path = _changed(f"{RUN}/{STEM}_ranges.json", json_changed)(folder, corpus, rng)
    return ["build", "--dry-run", "--int8", "--ranges", str(path), "--out", str(folder / "out")]


def _labels(folder: Path, corpus: Path, rng: random.Random) -> Command:
    path = _changed(f"{RUN}/labels.txt", text_changed)(folder, corpus, rng)
    model = str(corpus / RUN / f"{STEM}_int8.onnx")
    return ["predict", model, str(corpus / "image.png"), "--classes", str(path)]


def _image(folder: Path, corpus: Path, rng: random.Random) -> Command:
    source = rng.choice(sorted(path.name for path in corpus.glob("image.*")))
    path = _changed(source, bytes_changed)(folder, corpus, rng)
    return ["predict", str(corpus / RUN / f"{STEM}_fp32.tflite"), str(path)]


def _sweep(folder: Path, corpus: Path, rng: random.Random) -> Command:
    path = _changed(f"{SWEEP}/sweep.json", json_changed)(folder, corpus, rng)
    query = rng.choice(["top1>=0.1", "latency<=100ms", "any, smallest", "point=0.5_224", "fastest"])
    return ["sweep", "--out", str(path.parent), "--pick", query, *rng.choice([[], ["--json"]])]


_TRAIN: Final = ("build", "--dry-run", "--data", "{data}", "--alpha", "0.25", "--out", "{out}")
_DETECT: Final = (*_TRAIN, "--task", "detect", "--resolution", "96")
_VERIFY: Final = ("verify", "{corpus}/detector_int8.tflite", "--data", "{data}", "--no-latency")
_BUNDLE: Final = (("bundle", "{out}"), ("bundle", "{out}", "--check"))
_SENSITIVITY: Final = (("inspect", "{out}/{stem}_int8.tflite", "--sensitivity"),)
_Case = Callable[[Path, Path, random.Random], Command]
# One case after the other takes the next row.
CASES: Final[tuple[tuple[str, _Case], ...]] = (
    ("tflite", _artifact(f"{RUN}/{STEM}_int8.tflite", tflite_changed)),
    ("onnx", _artifact(f"{RUN}/{STEM}_int8.onnx", onnx_changed)),
    ("keras", _keras("model.keras", keras_changed)),
    ("golden", _finished("golden/golden.json", json_changed, _BUNDLE)),
    ("tflite", _artifact(f"{RUN}/{STEM}_fp32.tflite", tflite_changed)),
    ("toml", _config),
    ("h5", _keras("model.h5", hdf5_changed)),
    ("report", _finished("report.json", json_changed, (*_SENSITIVITY, *_SENSITIVITY, *_BUNDLE))),
    ("onnx", _artifact(f"{RUN}/{STEM}_fp32.onnx", onnx_changed)),
    ("labels", _labels),
    ("manifest", _manifest),
    ("image", _image),
    ("saved model", _saved_model),
    ("ranges", _ranges),
    ("tflite", _artifact(f"{RUN}/{STEM}_int8.tflite", tflite_changed)),
    ("published", _published),
    ("documents", _finished("sbom.cdx.json", json_changed, _BUNDLE)),
    ("labels in a run", _finished("labels.txt", text_changed, _BUNDLE)),
    ("detector", _detector("detector_int8.tflite", tflite_changed)),
    ("boxes", _data_set("voc", *_DETECT)),
    ("shards", _data_set("wds", *(word.replace("{data}", "wds:{data}") for word in _TRAIN))),
    ("detector", _detector("detector_int8.onnx", onnx_changed)),
    ("boxes", _data_set("coco", *_DETECT)),
    ("golden detector", _finished("golden/golden.json", json_changed, _BUNDLE, run=DETECTOR_RUN)),
    ("compiled", _compiled("compiled.tflite", tflite_changed)),
    ("boxes", _data_set("yolo", *_DETECT)),
    ("shards", _data_set("tfrecord", *(word.replace("{data}", "tfrecord:{data}") for word in _TRAIN))),
    ("detector", _detector("detector_fp32.tflite", tflite_changed)),
    ("keras", _keras("detector.keras", keras_changed)),
    ("boxes", _data_set("voc", *_VERIFY)),
    ("compiled", _compiled("compiled.onnx", onnx_changed)),
    ("detector", _detector("detector_fp32.onnx", onnx_changed)),
    ("sweep", _sweep),
)


def case(number: int, *, seed: int, folder: Path, corpus: Path) -> tuple[str, Command]:
    """What is changed in the case of that number, and the command that reads it; its files lie in `folder`."""
    name, make = CASES[number % len(CASES)]
    return name, make(folder, corpus, random.Random(f"{seed} {number}"))
