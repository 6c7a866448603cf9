"""The in-toto statement by hand and by the published rules; the same manifest gives the same bytes."""

import json
from dataclasses import replace

import pytest
from delivered_by_hand import contents_by_hand, listing
from jsonschema import Draft202012Validator
from manifest_by_hand import ABC, manifest_by_hand

from mbexport.provenance.git import Git
from mbexport.provenance.manifest import FileFacts, Input, Recipe, Tool
from mbexport.provenance.statement import statement_json

TEXT = {"type": "string", "minLength": 1}
URI = {**TEXT, "pattern": r"^[a-z][a-z0-9+.-]*:\S+$"}  # RFC 3986, section 3: a scheme comes first
# What github.com/in-toto/attestation, spec/v1 (statement.md, resource_descriptor.md, digest_set.md) asks for.
DIGESTS = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        "sha256": {"pattern": "^[0-9a-f]{64}$"},
        "gitCommit": {"pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$"},
    },
    "additionalProperties": {**TEXT, "pattern": "^[0-9a-f]+$"},
}
RESOURCE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": TEXT,
        "uri": URI,
        "digest": DIGESTS,
        "content": TEXT,
        "downloadLocation": URI,
        "mediaType": TEXT,
        "annotations": {"type": "object"},
    },
    "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}, {"required": ["content"]}],
}
SUBJECT = {**RESOURCE, "required": ["name", "digest"]}
# What slsa.dev/provenance/v1 asks for of level 1, and the fields that it knows.
PROVENANCE = {
    "type": "object",
    "required": ["buildDefinition", "runDetails"],
    "additionalProperties": False,
    "properties": {
        "buildDefinition": {
            "type": "object",
            "required": ["buildType", "externalParameters"],
            "additionalProperties": False,
            "properties": {
                "buildType": URI,
                "externalParameters": {"type": "object", "minProperties": 1},
                "internalParameters": {"type": "object"},
                "resolvedDependencies": {"type": "array", "items": RESOURCE},
            },
        },
        "runDetails": {
            "type": "object",
            "required": ["builder"],
            "additionalProperties": False,
            "properties": {
                "builder": {
                    "type": "object",
                    "required": ["id"],
                    "additionalProperties": False,
                    "properties": {
                        "id": URI,
                        "builderDependencies": {"type": "array", "items": RESOURCE},
                        "version": {"type": "object", "additionalProperties": TEXT},
                    },
                },
                "metadata": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "invocationId": TEXT,
                        "startedOn": {"format": "date-time"},
                        "finishedOn": {"format": "date-time"},
                    },
                },
                "byproducts": {"type": "array", "items": RESOURCE},
            },
        },
    },
}
STATEMENT = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": SUBJECT},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "predicate": PROVENANCE,
    },
}


def by_hand():
    return manifest_by_hand(
        tool=Tool(
            versions={"mbexport": "1.0", "numpy": "2.1"}, code="c0de", environment={"cores": "2", "python": "3.11.9"}
        ),
        recipe=Recipe(command="build", options={"alpha": 0.5, "data": "/some/photos"}, inputs=("data", "classes")),
        inputs={
            "data": Input(name="photos", is_file=False, digest=ABC),
            "classes": Input(name="c.txt", is_file=True, digest=ABC),
        },
        files={"net.onnx": FileFacts.of(b"abc"), "report.json": FileFacts.of(b"abc", repeats=False)},
        git=Git(commit="c0de" * 10, dirty=True),
    )


def test_statement_by_hand():
    assert json.loads(statement_json(by_hand(), invocation="run 7")) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "net.onnx", "digest": {"sha256": ABC}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "pkg:pypi/mbexport#build/v1",
                "externalParameters": {"command": "build", "options": {"alpha": 0.5, "data": "photos"}},
                "internalParameters": {
                    "libraries": {"numpy": "2.1"},
                    "environment": {"cores": "2", "python": "3.11.9"},
                },
                "resolvedDependencies": [
                    {"name": "mbexport", "uri": "pkg:pypi/mbexport@1.0", "digest": {"mbexportCode": "c0de"}},
                    {"name": "c.txt", "digest": {"sha256": ABC}, "annotations": {"option": "classes"}},
                    {"name": "photos", "digest": {"mbexportFingerprint": ABC}, "annotations": {"option": "data"}},
                    {"name": "git", "digest": {"gitCommit": "c0de" * 10}, "annotations": {"dirty": True}},
                ],
            },
            "runDetails": {
                "builder": {"id": "pkg:pypi/mbexport#local/v1", "version": {"mbexport": "1.0", "python": "3.11.9"}},
                "metadata": {"invocationId": "run 7"},
                "byproducts": [{"name": "report.json", "digest": {"sha256": ABC}}],
            },
        },
    }


@pytest.mark.parametrize(
    "manifest",
    [by_hand(), replace(by_hand(), git=None, inputs={}), listing(contents_by_hand())],
    ids=["all", "less", "run"],
)
@pytest.mark.parametrize("invocation", [None, "run 7"])
def test_statement_keeps_the_published_rules(manifest, invocation):
    Draft202012Validator.check_schema(STATEMENT)
    told = json.loads(statement_json(manifest, invocation=invocation))
    Draft202012Validator(STATEMENT).validate(told)
    names = [each["name"] for each in told["subject"]]
    assert len(set(names)) == len(names)
    definition = told["predicate"]["buildDefinition"]  # "The same field name SHOULD NOT be used for both"
    assert not set(definition["externalParameters"]) & set(definition["internalParameters"])


@pytest.mark.parametrize(
    "broken",
    [
        {"subject": []},
        {"subject": [{"name": "net.onnx"}]},
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicate": {"buildDefinition": {}, "runDetails": {}}},
    ],
)
def test_schema_of_the_rules_refuses_what_they_refuse(broken):
    assert not Draft202012Validator(STATEMENT).is_valid({**json.loads(statement_json(by_hand())), **broken})


def test_same_manifest_gives_the_same_bytes_whatever_its_order():
    manifest = by_hand()
    turned = replace(
        manifest, files=dict(reversed(manifest.files.items())), inputs=dict(reversed(manifest.inputs.items()))
    )
    assert statement_json(manifest) == statement_json(turned)
    assert statement_json(manifest) != statement_json(replace(manifest, git=None))
