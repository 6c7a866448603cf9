"""Compare the artifacts of a folder on a number of images; as a script, print the peak memory in MB.

Run as a script, so that nothing else is in the process: ARTIFACTS IMAGENET COUNT
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mbexport.formats.registry import open_runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.data.open import ImageSet, open_data
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.comparison import verify

PRECISIONS: Final = ("fp32", "fp16", "int8")
FORMATS: Final = ("tflite", "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is verified, on what, and against what: the first of the artifacts, opened once more."""

    subjects: tuple[Subject, ...]
    images: ImageSet
    preprocess: Preprocess
    reference: Baseline


def task_of(folder: Path, imagenet: Path, count: int) -> Task:
    """The six artifacts in `folder`, on `count` evaluation images, which repeat themselves if there are fewer."""
    images = open_data(str(imagenet / "eval"), classes_file=imagenet / "classes.txt").evaluation(0)
    files = [next(folder.glob(f"*_{precision}.{suffix}")) for precision in PRECISIONS for suffix in FORMATS]
    runners = [open_runner(path) for path in (*files, files[0])]
    preprocess = Preprocess(resolution=runners[0].resolution, crop_fraction=1.0)
    *subjects, reference = (
        Subject(runner=runner, preprocess=preprocess, kind=Output.SOFTMAX, source=Source.OPTION) for runner in runners
    )
    return Task(
        subjects=tuple(subjects),
        images=images.subset(np.arange(count) % len(images)),
        preprocess=preprocess,
        reference=Baseline.of(reference),
    )


def peak_mb() -> float:
    """VmHWM, not ru_maxrss: that one begins at the size of the process which started this one (Linux, exec_mmap)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(folder: Path, imagenet: Path, count: int) -> None:
    """One verification."""
    task = task_of(folder, imagenet, count)
    verify(task.subjects, task.images, task.preprocess, reference=task.reference)
    print(f"{peak_mb():.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
