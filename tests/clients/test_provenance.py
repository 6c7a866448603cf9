"""Programs that we did not write read what we say of where files came from: lib4sbom, and in-toto's own messages."""

import hashlib
import json

import pytest
from clients.environments import HERE, run
from delivered_by_hand import MODEL, OF_THE_RUN, contents_by_hand, deliver, with_proof

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def contents():
    return with_proof(contents_by_hand())


@pytest.fixture(scope="module")
def read(client_python, contents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("delivered")
    deliver(folder, contents)
    files = [folder / "sbom.cdx.json", folder / "provenance.intoto.json"]
    return json.loads(run([client_python("provenance"), HERE / "read_provenance.py", *files], is_ours=False))


def test_bill_of_materials_is_read_by_lib4sbom(read, contents):
    bill = read["bill"]
    assert bill["type"] == "cyclonedx"
    assert bill["document"]["version"] == "1.6"
    packages = {each["name"]: each for each in bill["packages"]}
    assert packages[MODEL]["checksum"] == [["SHA256", hashlib.sha256(contents[MODEL]).hexdigest()]]
    assert {"mbexport", "tensorflow", "numpy", "photos"} <= set(packages)
    needs = {(each["source"], each["target"]) for each in bill["relationships"]}
    assert {("net", MODEL), ("net", "mbexport"), ("mbexport", "tensorflow")} <= needs


def test_statement_is_read_by_the_messages_of_its_makers(read, contents):
    statement = read["statement"]
    made = {name: content for name, content in contents.items() if name not in OF_THE_RUN}
    assert statement["subjects"] == {
        name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in made.items()
    }
    assert statement["build_type"] == "pkg:pypi/mbexport#build/v1"
    assert statement["builder"] == "pkg:pypi/mbexport#local/v1"
    assert set(statement["dependencies"]) == {"mbexport", "photos", "git"}
    assert statement["dependencies"]["git"] == {"gitCommit": "c0de" * 10}
    assert statement["byproducts"] == ["MODEL_CARD.md", "report.json", "sbom.cdx.json"]
