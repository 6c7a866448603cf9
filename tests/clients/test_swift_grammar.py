"""A grammar of Swift reads every source of the iOS folder, also where no Swift is installed."""

import json

import pytest
from clients.environments import HERE, run
from clients.swift_packages import KINDS, app_model_of, detector_app

from mbexport.bundles.ios.bundle import ios_files

pytestmark = pytest.mark.client


@pytest.fixture
def nodes(client_python, tmp_path):
    """How many nodes the grammar reads in each source, by its name; 0 where it cannot."""

    def parsed(sources: dict[str, bytes]) -> dict[str, int]:
        paths = {name: tmp_path / str(at) for at, name in enumerate(sources)}
        for name, path in paths.items():
            path.write_bytes(sources[name])
        found = json.loads(run([client_python("swift"), HERE / "parse_swift.py", *paths.values()], is_ours=False))
        return {name: found[str(path)] for name, path in paths.items()}

    return parsed


@pytest.mark.parametrize(("app", "count"), [*((app_model_of(kind), 14) for kind in KINDS), (detector_app(), 16)])
def test_every_source_is_swift(nodes, app, count):
    made = ios_files(app)
    found = nodes({name: content for name, content in made.items() if name.endswith(".swift")})
    assert len(found) == count
    assert min(found.values()) > 20, found


def test_what_is_not_swift_is_told(nodes):
    assert nodes({"a": b"let a = 1\n", "b": b'let b = "it ends here" + )\n'})["b"] == 0
