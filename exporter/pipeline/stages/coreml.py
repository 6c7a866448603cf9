"""Make Core ML packages, and compare what they are simulated to answer with the float network."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, Final

from mbexport.artifact import Precision, Target
from mbexport.formats.coreml.rows import NOT_RUN, PACKAGES, PackageForm, maker_version, package_name
from mbexport.pipeline.context import NETWORK, Context
from mbexport.pipeline.stage import Files, Options, Stage
from mbexport.pipeline.stage_files import COREML
from mbexport.pipeline.stages.export import described, form_options

SIMULATED_IMAGES: Final = 100  # each takes numpy a fraction of a second at 224 px
_ROUNDED: Final = "round-weights"


def package_stages() -> tuple[Stage, ...]:
    """The stages that convert, one a package."""
    return tuple(_package_stage(form) for form in PACKAGES)


def simulation_stage() -> Stage:
    """The stage that simulates all packages."""
    return Stage(
        name="coreml",
        options=_simulation_options,
        upstream=("check-images", *NETWORK, *(form.name for form in PACKAGES)),
        is_wanted=lambda run: bool(run.plan.packages) and run.plan.is_judged,
        work=simulate,
    )


def package_paths(run: Context) -> dict[str, Path]:
    """The files of the finished packages by their paths in the output folder."""
    return {
        f"{package_name(run.plan.name, form)}/{name}": path
        for form in run.plan.packages
        for name, path in run.records[form.name].files.items()
    }


def _package_stage(form: PackageForm) -> Stage:
    return Stage(
        name=form.name,
        options=lambda run: {**form_options(run), "form": repr(form), "maker": maker_version()},
        upstream=((_ROUNDED,) if form.is_quantized else ()) + NETWORK,
        is_wanted=lambda run: form in run.plan.packages,
        work=partial(_package, form=form),
    )


def _package(run: Context, *, form: PackageForm) -> Files:
    from mbexport.formats.coreml.convert import PackageConversion, package_files
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.networks import StoredNetworks

    make_deterministic(run.plan.seed)
    precision = Precision.DYNAMIC if form.is_quantized else Precision.FP16  # whose network has the same weights
    target = Target(name=package_name(run.plan.name, form), precision=precision, labels=run.labels)
    description = described(run.plan, run.float.facts, target, precision=form.title)
    return package_files(PackageConversion(form=form, description=description, networks=StoredNetworks(run, precision)))


def _simulation_options(run: Context) -> Options:
    return {"images": run.images.fingerprints, "most": SIMULATED_IMAGES, "seed": run.plan.seed}


def simulate(run: Context) -> Files:
    """What is known of each package, and how often it is simulated to answer as the float network does."""
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.networks import reference_scores
    from mbexport.report.content import to_bytes
    from mbexport.verification.classification.coreml import compare_packages

    make_deterministic(run.plan.seed)
    stored = {
        package_name(run.plan.name, form): {
            name: path.read_bytes() for name, path in run.records[form.name].files.items()
        }
        for form in run.plan.packages
    }
    found = compare_packages(
        stored,
        reference_scores(run),
        run.images.test,
        run.float.facts.preprocess,
        most=SIMULATED_IMAGES,
        progress=run.progress,
    )
    entries = [
        {**_facts(form, package_name(run.plan.name, form), stored[package_name(run.plan.name, form)]), **compared}
        for form, compared in zip(run.plan.packages, found, strict=True)
    ]
    return {COREML: to_bytes({"coreml": entries})}


def _facts(form: PackageForm, name: str, files: Files) -> dict[str, Any]:
    return {
        "file": name,
        "precision": form.name,
        "target": form.target,
        "maker": maker_version(),
        "device": f"simulated here and {NOT_RUN}",
        "size_bytes": sum(map(len, files.values())),
        "sha256": {each: hashlib.sha256(content).hexdigest() for each, content in sorted(files.items())},
    }
