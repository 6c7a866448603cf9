"""`mbexport bundle`: make the app bundles of a finished folder again, or check that no byte of it has changed."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mbexport.commands import bundle_options, options
from mbexport.commands.options import Group
from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED, OptionError
from mbexport.escaping.terminal import json_text, visible_lines

if TYPE_CHECKING:
    from mbexport.provenance.tree import Finding

_EXAMPLES = """\b
Examples:
  mbexport bundle dist/mobilenet_v1_0.75_224 --bundle-version 1.2.0 --zip
  mbexport bundle --check dist/mobilenet_v1_0.75_224 --key public.pem
"""


@options.command("bundle", epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=options.PATH)
@options.option(
    "--check",
    group=Group.COMMON,
    is_flag=True,
    help="Make nothing: compare every file of DIR with DIR/manifest.json.",
)
@options.option(
    "--key",
    group=Group.COMMON,
    type=options.PATH,
    metavar="PUB",
    help="With --check: the public key (PEM) that must have signed the manifest.",
)
@options.option(
    "--out",
    group=Group.COMMON,
    type=options.PATH,
    metavar="DIR",
    help="Write everything to this folder, instead of changing DIR.",
)
@options.as_json
@options.together(*bundle_options.bundles, bundle_options.sign, options.force)
def command(folder: Path, out: Path | None, check: bool, key: Path | None, as_json: bool, **given: Any) -> int:
    """Make the app bundles in DIR again, with other options than `build` or `export` had.

    Artifacts, report and golden vectors stay as they are. With --check nothing is made: every file of DIR must be as
    DIR/manifest.json lists it, and nothing else may lie there.

    Exit codes: 0 done, or every byte is as listed; 1 a file differs, is missing or is not listed, or the signature is
    not valid; 2 bad input.
    """
    _require_consistent({**given, "out": out}, check=check, key=key, as_json=as_json)
    if check:
        return _checked(folder, key, as_json=as_json)
    from mbexport.pipeline.rebundle import bundle_again

    sign = bundle_options.signer(given["signing_key"])
    files = bundle_again(folder, bundle_options.bundling(given), out=out, sign=sign, force=given["force"])
    click.echo(visible_lines([*_sizes(files), f"files: {out or folder}/"]))
    return EXIT_DONE


def _sizes(files: Mapping[str, int]) -> list[str]:
    """A line for each bundle: how many files, of what size."""
    sizes: dict[str, list[int]] = {}
    for name, size_bytes in files.items():
        place, slash, _ = name.partition("/")
        sizes.setdefault(place + slash, []).append(size_bytes)
    width = max(map(len, sizes), default=0)
    return [
        f"{name:<{width}}  {len(each):>3} {'file ' if len(each) == 1 else 'files'}  {sum(each) / 1e6:6.2f} MB"
        for name, each in sizes.items()
    ]


def _require_consistent(making: dict[str, Any], *, check: bool, key: Path | None, as_json: bool) -> None:
    """Raises `OptionError` for options that would be ignored: those of making with --check, those of --check alone."""
    if not check and (key is not None or as_json):
        raise OptionError(f"{'--key' if key else '--json'} goes with --check; give --check, or drop the option")
    made = [name for name, value in making.items() if value]
    if check and made:
        named = {each.name: each.long_name for each in command.params if isinstance(each, options.Option)}
        raise OptionError(f"--check makes no bundles; drop --{named[made[0]]}, or --check")


def _checked(folder: Path, key: Path | None, *, as_json: bool) -> int:
    from mbexport.provenance.check import check
    from mbexport.provenance.signing import load_public_key
    from mbexport.report.terminal import print_check

    findings = check(folder, None if key is None else load_public_key(key))
    is_sound = _is_sound(findings)
    if as_json:
        click.echo(_json(findings))
    else:
        verdict = "SOUND: every byte is as listed" if is_sound else "NOT SOUND"
        print_check([each.line for each in findings], verdict, is_good=is_sound, stream=sys.stdout)
    return EXIT_DONE if is_sound else EXIT_GATE_FAILED


def _json(findings: Sequence["Finding"]) -> str:
    rows = [
        {"file": each.name, "status": each.status.value, "got": each.got, "expected": each.expected}
        for each in findings
    ]
    return json_text({"schema": 1, "sound": _is_sound(findings), "findings": rows})


def _is_sound(findings: Sequence["Finding"]) -> bool:
    return not any(each.is_failure for each in findings)
