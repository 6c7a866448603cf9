"""Make golden vectors of verified artifacts and a few images: an app's unit test, in any language, replays them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.files import sha256_of
from mbexport.formats.registry import format_of
from mbexport.formats.runner import FLOAT
from mbexport.formats.subject import Subject
from mbexport.golden.answers import Outputs, feeding_mistakes, least_change, outputs_of, widen_spread
from mbexport.golden.choice import SAFE_LEAD, Candidates, choose_images
from mbexport.golden.inputs import golden_input
from mbexport.golden.pictures import Pictures, drawn_pictures
from mbexport.golden.readme import readme_text
from mbexport.golden.rounds import CANDIDATES, CASES, FAST_KERNELS, REFERENCE_KERNELS, SHORTLIST, SLOW, side_by_side
from mbexport.golden.vectors import (
    FOLDER,
    INDEX,
    README,
    Case,
    Expected,
    Golden,
    GoldenArtifact,
    GoldenOutput,
)
from mbexport.models.data.imageset import ImageSet
from mbexport.models.preprocess import Pixels, Preprocess

Files = dict[str, bytes]


def golden_files(
    *,
    stem: str,
    licence: str | None,
    preprocess: Preprocess,
    labels: Sequence[str],
    subjects: Sequence[Subject],
    images: ImageSet,
    is_labelled: bool,
    seed: int,
) -> Files:
    """The files of `golden/`, by their names from the folder above it; the same for the same files and images.

    `subjects` are the artifacts, at least one; `labels` name their scores; the labels of `images` are used only if
    `is_labelled`. Of up to 24 images, drawn by `seed` from all classes alike, the best three make cases:
    `choose_images` ranks them. Raises `StageError` if there is no image, or none that every artifact answers with
    finite numbers.
    """
    if not len(images):
        raise StageError("golden vectors need at least one image, got none")
    candidates = drawn_pictures(images, preprocess, most=CANDIDATES, is_labelled=is_labelled, seed=seed)
    pictures, answers = _cases(subjects, candidates)
    cases = tuple(_case(place, pictures, answers, labels) for place in range(len(pictures.raw)))
    golden = Golden(
        stem=stem,
        classes=answers[0].raw.shape[1],
        licence=licence,
        preprocess=preprocess,
        artifacts=tuple(map(_artifact, answers)),
        cases=cases,
    )
    return {
        f"{FOLDER}/{INDEX}": golden.to_bytes(),
        f"{FOLDER}/{README}": readme_text(preprocess).encode(),
        **_vectors(cases, pictures, answers),
    }


def _cases(subjects: Sequence[Subject], candidates: Pictures) -> tuple[Pictures, list[Outputs]]:
    """The pictures that make cases, and each artifact's outputs for them.

    There are three rounds, so that few pictures cost the time of reference kernels. The last one leaves out pictures
    whose lead is no longer safe by these kernels.
    """
    with side_by_side() as each:
        quick = [subject for subject in subjects if subject.runner.precision not in SLOW] or subjects
        first = each(lambda subject: outputs_of(subject, candidates.resized), quick)
        kept = _shortlist(first, candidates.truth)
        pictures, known = candidates.only(kept), {outputs.subject: outputs.only(kept) for outputs in first}
        second = each(lambda subject: _by_fast_kernels(known.get(subject), subject, pictures.resized), subjects)
        mistakes = feeding_mistakes(pictures.resized)
        quick_outputs = [outputs for outputs in second if outputs.subject in known]
        change = np.min(each(lambda outputs: least_change(outputs, mistakes), quick_outputs), axis=0)
        kept = _choose(second, pictures.truth, change=change, most=CASES)
        pictures, change, second = pictures.only(kept), change[kept], [outputs.only(kept) for outputs in second]
        third = each(lambda outputs: widen_spread(outputs, pictures.resized, kernels=REFERENCE_KERNELS), second)
        kept = _choose(third, pictures.truth, change=change, most=CASES)
        return pictures.only(kept), [outputs.only(kept) for outputs in third]


def _shortlist(outputs: Sequence[Outputs], truth: NDArray[np.int64] | None) -> list[int]:
    """Images for the next round. Their change is not known yet: instead, leads count up to twice the safe one."""
    least = np.min([each.lead for each in outputs], axis=0)
    return _choose(outputs, truth, change=np.minimum(least, 2 * SAFE_LEAD), most=SHORTLIST)


def _choose(
    outputs: Sequence[Outputs], truth: NDArray[np.int64] | None, *, change: NDArray[np.float64], most: int
) -> list[int]:
    best, lead = (np.stack([getattr(each, name) for each in outputs], axis=1) for name in ("best", "lead"))
    chosen = choose_images(Candidates(best=best, lead=lead, change=change, truth=truth), most=most)
    if not chosen:
        raise StageError(
            f"golden vectors need an image to which every artifact gives finite numbers, got none among {len(best)}"
        )
    return chosen


def _by_fast_kernels(known: Outputs | None, subject: Subject, pixels: Pixels) -> Outputs:
    return widen_spread(known or outputs_of(subject, pixels), pixels, kernels=FAST_KERNELS)


def _artifact(outputs: Outputs) -> GoldenArtifact:
    runner, output = outputs.subject.runner, outputs.subject.output
    affine = output.affine if output.dtype != FLOAT else None
    return GoldenArtifact(
        file=runner.name,
        sha256=sha256_of(runner.path),
        format=format_of(runner.path).name,
        precision=runner.precision.value,
        input=golden_input(runner, outputs.subject.preprocess),
        output=GoldenOutput(
            name=output.name,
            dtype=output.dtype,
            shape=output.shape,
            kind=outputs.subject.kind.value,
            tolerance=outputs.tolerance,
            spread=outputs.spread,
            scale=affine.scale[0] if affine else None,
            zero_point=affine.zero_point[0] if affine else None,
        ),
    )


def _case(place: int, pictures: Pictures, answers: Sequence[Outputs], labels: Sequence[str]) -> Case:
    name, (width, height) = f"case_{place}", pictures.raw[place].size
    ending = pictures.ending(place)
    return Case(
        name=name,
        width=width,
        height=height,
        raw=f"{name}/raw.{ending}",
        resized=f"{name}/resized.{ending}",
        truth=None if pictures.truth is None else int(pictures.truth[place]),
        expected={
            outputs.subject.name: Expected(
                output=f"{name}/{outputs.subject.name}.out",
                top=int(outputs.best[place]),
                label=labels[int(outputs.best[place])],
                score=float(outputs.subject.scores(outputs.raw)[place].max()),
            )
            for outputs in answers
        },
    )


def _vectors(cases: Sequence[Case], pictures: Pictures, answers: Sequence[Outputs]) -> Files:
    """The bytes of images and tensors."""
    files: Files = {}
    for place, case in enumerate(cases):
        files[case.raw] = pictures.raw[place].tobytes()
        files[case.resized] = pictures.resized[place].tobytes()
        for outputs in answers:
            row = outputs.raw[place]
            files[case.expected[outputs.subject.name].output] = row.astype(row.dtype.newbyteorder("<")).tobytes()
    return {f"{FOLDER}/{name}": content for name, content in files.items()}
