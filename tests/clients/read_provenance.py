"""Reads a bill of materials and a statement with packages of others, in an environment that has nothing of ours.

Arguments: the two files. Writes JSON: what lib4sbom found, and what in-toto's own messages hold, which take no field
that they do not know.
"""

import json
import sys
from pathlib import Path

from google.protobuf.json_format import MessageToDict, Parse, ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from lib4sbom.parser import SBOMParser


def bill(file: str) -> dict:
    parser = SBOMParser()
    parser.parse_file(file)
    return {
        "type": parser.get_type(),
        "document": parser.get_document(),
        "packages": parser.get_packages(),
        "relationships": parser.get_relationships(),
    }


def statement(file: str) -> dict:
    message = Parse(Path(file).read_text(), StatementMessage())
    Statement.copy_from_pb(message).validate()
    provenance = ParseDict(MessageToDict(message.predicate), Provenance())
    for each in provenance.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(each).validate()
    return {
        "subjects": {each.name: dict(each.digest) for each in message.subject},
        "build_type": provenance.build_definition.build_type,
        "dependencies": {each.name: dict(each.digest) for each in provenance.build_definition.resolved_dependencies},
        "builder": provenance.run_details.builder.id,
        "byproducts": [each.name for each in provenance.run_details.byproducts],
    }


sys.stdout.write(json.dumps({"bill": bill(sys.argv[1]), "statement": statement(sys.argv[2])}))
