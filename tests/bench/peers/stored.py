"""Save the float network of a finished `mbexport build` as network.h5, which quantizers take.

Run as a script: BUILD GIVEN, where BUILD is the folder of the build, and GIVEN the folder of what peers are given.
"""

import sys
from pathlib import Path
from typing import Any

from mbexport.pipeline.networks import float_network
from mbexport.pipeline.stage_files import NETWORK, WEIGHTS, Float


def trained_network(built: Path) -> Float:
    """Where the network lies that the build in the folder `built` trained."""
    stage = built / ".mbexport" / "stages" / "train"
    return Float(network=stage / NETWORK, weights=stage / WEIGHTS)


def save(source: Float, given: Path) -> Any:
    """The network, with batch normalization, which is also written to the folder `given`."""
    network = float_network(source)
    network.save(given / "network.h5")
    return network


def main(arguments: list[str]) -> None:
    """Write the file."""
    built, given = map(Path, arguments)
    save(trained_network(built), given)


if __name__ == "__main__":
    main(sys.argv[1:])
