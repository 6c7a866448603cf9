"""Make the bundles of a finished output folder again, and nothing else in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mbexport.artifact import LABELS, labels_in
from mbexport.bundles.make import bundle_files
from mbexport.bundles.registry import Bundling, is_bundled, platform_options
from mbexport.errors import DataError
from mbexport.files import Folder
from mbexport.pipeline.publish import Delivery, Sign, publish
from mbexport.provenance.manifest import MANIFEST, FileFacts, Manifest
from mbexport.provenance.read_manifest import MAX_MANIFEST_BYTES, manifest_from_bytes
from mbexport.provenance.statement import STATEMENT, statement_json
from mbexport.workdir import Workdir


def bundle_again(
    folder: Path, bundling: Bundling, *, out: Path | None = None, sign: Sign | None = None, force: bool = False
) -> dict[str, int]:
    """Make the bundles of what a run left in `folder`, there or in `out`; the sizes of their files in bytes, by path.

    All else stays as it is, except what lists the bundles: the manifest, signed if there is `sign`, and the statement
    of provenance. Raises `DataError` unless the files in `folder`, old bundles aside, are as the run left them,
    `OutputError` for what no run left in the place of a file, unless `force` allows to replace it.
    """
    source = Folder(folder)
    manifest = _manifest(source)
    kept = {name: facts for name, facts in manifest.files.items() if not _is_made_again(name)}
    content = {name: _unchanged(source, name, facts) for name, facts in kept.items()}
    if LABELS not in content:
        raise DataError(f"{folder} must hold what build or export wrote, got no {LABELS}")
    made = {name: each for name, each in content.items() if kept[name].repeats}
    bundles = bundle_files(made, labels_in(content[LABELS]), bundling)
    delivery = Delivery(
        made={**made, **bundles},
        told={name: each for name, each in content.items() if not kept[name].repeats},
        manifest=_with_bundling(manifest, bundling),
        sign=sign,
    )
    delivery = replace(delivery, told={**delivery.told, STATEMENT: statement_json(delivery.listing())})
    with Workdir.open(out or folder) as workdir:
        publish(workdir, delivery, force=force)
    return {name: len(each) for name, each in bundles.items()}


def _is_made_again(name: str) -> bool:
    return is_bundled(name) or name == STATEMENT


def _manifest(source: Folder) -> Manifest:
    file = source.root / MANIFEST
    try:
        return manifest_from_bytes(source.read(MANIFEST, limit_bytes=MAX_MANIFEST_BYTES), source=file)
    except OSError as error:
        raise DataError(f"the manifest {file} cannot be read: {error.strerror}") from None


def _unchanged(source: Folder, name: str, facts: FileFacts) -> bytes:
    """The content of a file that the manifest lists. Raises `DataError` if it is not the listed one."""
    path = source.root / name
    try:
        content = source.read(name)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if FileFacts.of(content).sha256 != facts.sha256:
        raise DataError(f"{path} must be as the run left it, with sha256 {facts.sha256[:16]}…, got other bytes")
    return content


def _with_bundling(manifest: Manifest, bundling: Bundling) -> Manifest:
    """The manifest as if the run itself had been asked for these bundles."""
    options: dict[str, Any] = {
        "platform": list(bundling.platforms) if bundling.is_required else [],
        "bundle-name": bundling.name,
        "bundle-version": bundling.version,
        **{each.name: bundling.options.get(each.name) for each in platform_options()},
        "zip": bundling.is_zipped,
    }
    return replace(manifest, recipe=replace(manifest.recipe, options={**manifest.recipe.options, **options}))
