"""Names of npm packages and of the files in them: legal ones for any name of a model."""

import re
import unicodedata
from typing import Final

# https://docs.npmjs.com/cli/configuring-npm/package-json#name: at most 214 characters, in lower case, that a URL holds.
_LONGEST: Final = 200
_TAKEN: Final = frozenset({"node_modules", "favicon.ico"})  # npm refuses these (validate-npm-package-name)
_MODEL: Final = "model.tflite"


def package_name(stem: str) -> str:
    """`stem` as an npm package may be called: lower-case ASCII letters, digits, `.`, `_` and `-`, a letter first."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", plain)[:_LONGEST].strip("._-")
    if not name[:1].isalpha():
        name = f"model-{name}".rstrip("-")
    return f"{name}-model" if name in _TAKEN else name


def file_name(file: str) -> str:
    """`file` if its characters mean themselves in an address and on every disk, else `model.tflite`."""
    return file if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", file) else _MODEL
