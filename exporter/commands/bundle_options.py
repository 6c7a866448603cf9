"""Turns the options on bundles and signatures, which several commands share, into checked values."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mbexport.commands import options

if TYPE_CHECKING:
    from mbexport.bundles.choices import Bundling

_PASSPHRASE: Final = "MBEXPORT_SIGN_PASSPHRASE"

CHOICES: Final = (
    options.option(
        "--platform",
        "platforms",
        type=click.Choice(["android", "ios"]),
        multiple=True,
        help="Whose apps get a bundle; may be repeated, both if absent.",
    ),
    options.option("--bundle-name", metavar="NAME", help="What bundles call the model; <model> if absent."),
    options.option("--bundle-version", metavar="X.Y.Z", help="What app teams order bundles by; mbexport's if absent."),
    options.option(
        "--android-package",
        metavar="NAME",
        help="Java package of the Android bundle; mbexport.<model> if absent.",
    ),
    options.option("--zip", "is_zipped", is_flag=True, help="Make each bundle as one zip, too."),
)
SIGN: Final = options.option(
    "--sign",
    "signing_key",
    type=options.PATH,
    metavar="KEY",
    is_recorded=False,
    help=f"Sign the manifest with this private key (PEM); {_PASSPHRASE} opens one that is encrypted.",
)


def bundling(given: dict[str, Any]) -> "Bundling":
    """The bundles that these values of the options ask for; all that are possible if they say nothing."""
    from mbexport.bundles.choices import Bundling, Platform

    named = tuple(dict.fromkeys(map(Platform, given["platforms"])))
    return Bundling(
        platforms=named or tuple(Platform),
        is_required=bool(named),
        name=given["bundle_name"],
        version=given["bundle_version"],
        android_package=given["android_package"],
        is_zipped=given["is_zipped"],
    )


def signer(key: Path | None) -> Callable[[bytes], bytes] | None:
    """What signs with the key in that file. Raises `DataError` for one that cannot be used: not after hours of work."""
    if key is None:
        return None
    from mbexport.provenance.signing import load_private_key, sign

    loaded = load_private_key(key, passphrase=os.environ.get(_PASSPHRASE) or None)
    return lambda content: sign(content, loaded)
