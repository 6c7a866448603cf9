"""Turns a manifest into provenance.intoto.json: who made which files how, in the words of in-toto and SLSA.

An in-toto Statement v1 (github.com/in-toto/attestation, spec/v1) around a SLSA Provenance v1 (slsa.dev/provenance/v1).
It bears no time: the same manifest gives the same bytes.
"""

import json
from typing import Any, Final

from mbexport.provenance.manifest import NAME, SHA256, FileFacts, Input, Manifest

STATEMENT: Final = "provenance.intoto.json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
PACKAGE: Final = f"pkg:pypi/{NAME}"
# Package URLs with a subpath: ours wherever the sources are kept. Decision 0023 says what they stand for.
BUILD_TYPE: Final = f"{PACKAGE}#build/v1"
BUILDER: Final = f"{PACKAGE}#local/v1"
# Digests that are no sha256 of one file, in lower-case hexadecimal: of a data set or folder, and of our own modules.
FINGERPRINT: Final = "mbexportFingerprint"
CODE: Final = "mbexportCode"


def statement_json(manifest: Manifest, *, invocation: str | None = None) -> bytes:
    """The statement that the command of `manifest` made its files.

    Subjects are those whose bytes repeat, by-products the others. `invocation` is what a CI calls the run, if one ran.
    """
    versions = manifest.tool.versions
    run: dict[str, Any] = {
        "builder": {
            "id": BUILDER,
            "version": {NAME: versions[NAME], "python": manifest.tool.environment.get("python", "unknown")},
        }
    }
    if invocation is not None:
        run["metadata"] = {"invocationId": invocation}
    run["byproducts"] = _described(manifest, repeats=False)
    told = {
        "_type": STATEMENT_TYPE,
        "subject": _described(manifest, repeats=True),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"command": manifest.recipe.command, "options": manifest.recorded_options()},
                "internalParameters": {
                    "libraries": {name: version for name, version in versions.items() if name != NAME},
                    "environment": dict(manifest.tool.environment),
                },
                "resolvedDependencies": _dependencies(manifest),
            },
            "runDetails": run,
        },
    }
    return (json.dumps(told, indent=2) + "\n").encode()


def _described(manifest: Manifest, *, repeats: bool) -> list[dict[str, Any]]:
    def one(name: str, facts: FileFacts) -> dict[str, Any]:
        return {"name": name, "digest": {SHA256: facts.sha256}}

    return [one(name, facts) for name, facts in sorted(manifest.files.items()) if facts.repeats is repeats]


def _dependencies(manifest: Manifest) -> list[dict[str, Any]]:
    """Ourselves, each input, and the commit that the run was started at."""
    tool = manifest.tool
    found = [
        {"name": NAME, "uri": f"{PACKAGE}@{tool.versions[NAME]}", "digest": {CODE: tool.code}},
        *(_input(option, each) for option, each in sorted(manifest.inputs.items())),
    ]
    if manifest.git is not None:
        annotations = {"dirty": manifest.git.dirty}
        found.append({"name": "git", "digest": {"gitCommit": manifest.git.commit}, "annotations": annotations})
    return found


def _input(option: str, each: Input) -> dict[str, Any]:
    digest = {SHA256 if each.is_file else FINGERPRINT: each.digest}
    return {"name": each.name, "digest": digest, "annotations": {"option": option}}
