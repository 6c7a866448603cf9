"""A manifest written by hand, for tests of what is made of manifests."""

from mbexport.provenance.manifest import FileFacts, Input, Manifest, Recipe, Tool

# FIPS 180-2, appendix B.1.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def manifest_by_hand(**changed) -> Manifest:
    """A manifest of two files made of a folder of photos; `changed` replaces fields."""
    told = {
        "tool": Tool(versions={"mbexport": "1.0", "numpy": "2.1"}, code="c0de", environment={"cores": "2"}),
        "recipe": Recipe(command="build", options={"alpha": 0.5, "data": "/somewhere/photos"}, inputs=("data",)),
        "inputs": {"data": Input(name="photos", is_file=False, digest=ABC)},
        "files": {"net.onnx": FileFacts.of(b"abc"), "labels.txt": FileFacts.of(b"")},
    }
    return Manifest(**{**told, **changed})
