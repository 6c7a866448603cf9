"""Keep the float network for the user: a Keras file that `mbexport export --model` takes."""

from mbexport.pipeline.context import Context
from mbexport.pipeline.exports import keras_name
from mbexport.pipeline.stage import Files, Options


def is_kept(run: Context) -> bool:
    """Whether the user gets the float network."""
    return run.plan.keras


def keep_options(run: Context) -> Options:
    """What the file is called."""
    return {"name": run.plan.name}


def keep(run: Context) -> Files:
    """The float network as it was trained, as a Keras .h5; that of a detector says by its name which anchors it has."""
    from mbexport.models.keras_file import network_to_h5
    from mbexport.models.ssd.stored_name import stored_name
    from mbexport.pipeline.networks import float_network

    network, detector = float_network(run.float), run.float.facts.detector
    name = network.name if detector is None else stored_name(detector.table)
    return {keras_name(run.plan): network_to_h5(network, name=name)}
