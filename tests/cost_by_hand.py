"""What the tests of costs need: a layer by its name, and legal widths and resolutions."""

from hypothesis import strategies as st

from mbexport.models.cost import Cost, LayerCost

ALPHAS = st.integers(1, 200).map(lambda hundredths: hundredths / 100)
RESOLUTIONS = st.integers(1, 32).map(lambda k: 32 * k)


def layer(of: Cost, name: str) -> LayerCost:
    """The layer of that name."""
    (found,) = (each for each in of.layers if each.name == name)
    return found
