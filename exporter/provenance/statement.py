"""Write provenance.intoto.json: which command and tools made the files of a manifest, of which inputs.

It is an in-toto Statement v1 (github.com/in-toto/attestation, spec/v1) around a SLSA Provenance v1
(slsa.dev/provenance/v1). It holds no time: the same manifest gives the same bytes.
"""

import json
from typing import Any, Final

from mbexport.provenance.manifest import NAME, SHA256, FileFacts, Input, Manifest

STATEMENT: Final = "provenance.intoto.json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
PACKAGE: Final = f"pkg:pypi/{NAME}"
# Package URLs with a subpath, which hold wherever the sources are kept; docs/decisions/0023 says what they stand for.
BUILD_TYPE: Final = f"{PACKAGE}#build/v1"
BUILDER: Final = f"{PACKAGE}#local/v1"
# Names of digests that are no sha256 of a file, in lower-case hexadecimal: of a data set or folder, and of our modules.
FINGERPRINT: Final = "mbexportFingerprint"
CODE: Final = "mbexportCode"


def statement_json(manifest: Manifest, *, invocation: str | None = None) -> bytes:
    """The statement that the command of `manifest` made its files.

    Subjects are the files whose bytes repeat, by-products the others. `invocation` is a CI's name of the run, if any.
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
    run["byproducts"] = _resources(manifest, repeats=False)
    content = {
        "_type": STATEMENT_TYPE,
        "subject": _resources(manifest, repeats=True),
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
    return (json.dumps(content, indent=2) + "\n").encode()


def _resources(manifest: Manifest, *, repeats: bool) -> list[dict[str, Any]]:
    def one(name: str, facts: FileFacts) -> dict[str, Any]:
        return {"name": name, "digest": {SHA256: facts.sha256}}

    return [one(name, facts) for name, facts in sorted(manifest.files.items()) if facts.repeats is repeats]


def _dependencies(manifest: Manifest) -> list[dict[str, Any]]:
    """mbexport itself, each input, and the commit of the repository in which the run was started."""
    tool = manifest.tool
    dependencies = [
        {"name": NAME, "uri": f"{PACKAGE}@{tool.versions[NAME]}", "digest": {CODE: tool.code}},
        *(_input(option, each) for option, each in sorted(manifest.inputs.items())),
    ]
    if manifest.git is not None:
        annotations = {"dirty": manifest.git.dirty}
        dependencies.append({"name": "git", "digest": {"gitCommit": manifest.git.commit}, "annotations": annotations})
    return dependencies


def _input(option: str, each: Input) -> dict[str, Any]:
    digest = {SHA256 if each.is_file else FINGERPRINT: each.digest}
    return {"name": each.name, "digest": digest, "annotations": {"option": option}}
