"""The RayCluster on the page: fields that KubeRay's definition of `ray.io/v1` has, their types, and what it requires.

The definition itself is no package that could be installed: what is checked is written down here, from its fields.
"""

from typing import Any

import jsonschema
import pytest
import yaml
from docs.pages import Block, blocks

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


_AMOUNTS = {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}
_PARAMETERS = {"type": "object", "additionalProperties": _TEXT}  # of `ray start`, without the dashes
_CONTAINER = _object(
    ("name", "image"),
    name=_TEXT,
    image=_TEXT,
    envFrom=_list(_object(("secretRef",), secretRef=_object(("name",), name=_TEXT))),
    resources=_object(requests=_AMOUNTS, limits=_AMOUNTS),
    volumeMounts=_list(_object(("name", "mountPath"), name=_TEXT, mountPath=_TEXT)),
)
_CLAIM = _object(("claimName",), claimName=_TEXT)
_POD = _object(
    ("spec",),
    spec=_object(
        ("containers",),
        containers=_list(_CONTAINER),
        securityContext=_object(runAsUser=_COUNT),
        volumes=_list(_object(("name",), name=_TEXT, persistentVolumeClaim=_CLAIM)),
    ),
)
_WORKERS = _object(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=_TEXT,
    replicas=_COUNT,
    minReplicas=_COUNT,
    maxReplicas=_COUNT,
    rayStartParams=_PARAMETERS,
    template=_POD,
)
_CLUSTER = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayCluster"},
    metadata=_object(("name",), name=_TEXT),
    spec=_object(
        ("headGroupSpec",),
        headGroupSpec=_object(("rayStartParams", "template"), rayStartParams=_PARAMETERS, template=_POD),
        workerGroupSpecs=_list(_WORKERS),
    ),
)


@pytest.mark.parametrize("block", [each for each in blocks("yaml") if "RayCluster" in each.text], ids=str)
def test_a_ray_cluster_has_the_fields_of_kuberay(block: Block) -> None:
    cluster = yaml.safe_load(block.text)
    jsonschema.validate(cluster, _CLUSTER)
    for group in (cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = {each["name"] for container in pod["containers"] for each in container["volumeMounts"]}
        assert mounted == {each["name"] for each in pod["volumes"]}


def test_there_is_one() -> None:
    assert sum("RayCluster" in each.text for each in blocks("yaml")) == 1
