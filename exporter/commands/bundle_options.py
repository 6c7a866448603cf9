"""Options of what is made for apps, and of the signature: what `build`, `export` and `bundle` have in common."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mbexport.bundles.registry import platform_names, platform_options
from mbexport.commands.options import PATH, Group, option

if TYPE_CHECKING:
    from mbexport.bundles.registry import Bundling

_PASSPHRASE: Final = "MBEXPORT_SIGN_PASSPHRASE"

bundles: Final = (
    option(
        "--platform",
        "platforms",
        group=Group.BUNDLES,
        type=click.Choice(platform_names()),
        multiple=True,
        help="Make the bundle of this platform; may be repeated. Every one if absent.",
    ),
    option(
        "--bundle-name",
        group=Group.BUNDLES,
        metavar="NAME",
        help="Name of the model in the bundles; that of the artifacts if absent.",
    ),
    option(
        "--bundle-version",
        group=Group.BUNDLES,
        metavar="X.Y.Z",
        help="Version of the bundles, for the package managers of apps; mbexport's own if absent.",
    ),
    *(
        option(f"--{each.name}", group=Group.BUNDLES, metavar=each.metavar, help=each.help)
        for each in platform_options()
    ),
    option("--zip", "is_zipped", group=Group.BUNDLES, is_flag=True, help="Pack each bundle into a .zip, too."),
)
sign: Final = option(
    "--sign",
    "signing_key",
    group=Group.ARTIFACTS,
    type=PATH,
    metavar="KEY",
    is_recorded=False,
    help=f"Sign manifest.json with this private key (PEM); ${_PASSPHRASE} is the passphrase of an encrypted one.",
)


def bundling(given: Mapping[str, Any]) -> "Bundling":
    """The bundles that these values of the options ask for; every possible one where --platform is absent."""
    from mbexport.bundles.registry import Bundling

    named = tuple(dict.fromkeys(given["platforms"]))
    own = {each.name: given[each.name.replace("-", "_")] for each in platform_options()}
    return Bundling(
        platforms=named or platform_names(),
        is_required=bool(named),
        name=given["bundle_name"],
        version=given["bundle_version"],
        options={name: value for name, value in own.items() if value is not None},
        is_zipped=given["is_zipped"],
    )


def signer(key: Path | None) -> Callable[[bytes], bytes] | None:
    """The function that signs bytes with the private key in the file `key`; None without one.

    Raises `DataError` for a key that cannot be used: before a run, not after hours of work.
    """
    if key is None:
        return None
    from mbexport.provenance.signing import load_private_key, sign

    loaded = load_private_key(key, passphrase=os.environ.get(_PASSPHRASE) or None)
    return lambda content: sign(content, loaded)
