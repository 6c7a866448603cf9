"""Turns a finished output folder into one with other bundles, without making anything else again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mbexport.artifact import LABELS, labels_in
from mbexport.bundles.choices import Bundling
from mbexport.bundles.registry import bundle_files, is_bundled
from mbexport.errors import DataError
from mbexport.pipeline.publish import Delivery, Sign, publish
from mbexport.provenance.manifest import MANIFEST, SIGNATURE, FileFacts, Manifest
from mbexport.provenance.read_manifest import read_manifest
from mbexport.provenance.statement import STATEMENT, statement_json
from mbexport.workdir import Workdir


def bundle_again(
    folder: Path, bundling: Bundling, *, out: Path | None = None, sign: Sign | None = None
) -> dict[str, int]:
    """The files of the bundles, made of what a run left in `folder`, and put there or into `out`: bytes by path.

    All else stays as it is, but for what tells of the bundles: the manifest, signed if there is `sign`, and the
    statement of provenance. Raises `DataError` unless the folder is as the run left it, the old bundles apart.
    """
    manifest = read_manifest(folder / MANIFEST)
    kept = {name: facts for name, facts in manifest.files.items() if not _is_made(name)}
    content = {name: _unchanged(folder / name, facts) for name, facts in kept.items()}
    if LABELS not in content:
        raise DataError(f"{folder} must hold what build or export wrote, got no {LABELS}")
    made = {name: each for name, each in content.items() if kept[name].repeats}
    bundles = bundle_files(made, labels_in(content[LABELS]), bundling)
    manifest = _as_bundled(manifest, bundling)
    delivery = Delivery(
        made={**made, **bundles},
        told={name: each for name, each in content.items() if not kept[name].repeats},
        manifest=manifest,
        sign=sign,
    )
    delivery = replace(delivery, told={**delivery.told, STATEMENT: statement_json(delivery.listing())})
    target = out or folder
    replaced = [*manifest.files, SIGNATURE] if target.resolve() == folder.resolve() else []
    with Workdir.open(target) as workdir:
        publish(workdir, delivery, earlier=replaced)
    return {name: len(each) for name, each in bundles.items()}


def _is_made(name: str) -> bool:
    """Whether the file is made here."""
    return is_bundled(name) or name == STATEMENT


def _unchanged(path: Path, facts: FileFacts) -> bytes:
    """The content of a file that the manifest lists."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if FileFacts.of(content).sha256 != facts.sha256:
        raise DataError(f"{path} must be as the run left it, with sha256 {facts.sha256[:16]}…, got other bytes")
    return content


def _as_bundled(manifest: Manifest, bundling: Bundling) -> Manifest:
    """What the manifest says if the run itself had been asked for these bundles."""
    options: dict[str, Any] = {
        "platform": [each.value for each in bundling.platforms] if bundling.is_required else [],
        "bundle-name": bundling.name,
        "bundle-version": bundling.version,
        "android-package": bundling.android_package,
        "zip": bundling.is_zipped,
    }
    return replace(manifest, recipe=replace(manifest.recipe, options={**manifest.recipe.options, **options}))
