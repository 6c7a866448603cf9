"""`mbexport cost`: mult-adds and parameters of a MobileNet, without building it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import click

from mbexport.commands import network_options, options
from mbexport.commands.options import Group
from mbexport.errors import OptionError
from mbexport.models.architectures import ARCHITECTURES, Architecture, architecture_of
from mbexport.models.cost import Cost, LayerCost, Remarks
from mbexport.models.published import PaperNetwork, Published
from mbexport.models.spec import REFERENCE_RESOLUTION, REFERENCE_RESOLUTION_PX, NetworkSpec, variant_options
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.task import Task

# Of the published networks.
_CLASSES: Final = {Task.CLASSIFY: 1000, Task.DETECT: SsdSpec().classes}
_RESOLUTION_PX: Final = {Task.CLASSIFY: REFERENCE_RESOLUTION_PX, Task.DETECT: SsdSpec().resolution.height_px}

_EXAMPLES = """\b
Examples:
  mbexport cost --all
  mbexport cost --all --arch mobilenet_v2
  mbexport cost --compare
  mbexport cost --alpha 0.75 --resolution 192 --by-layer
  mbexport cost --task detect
"""


@options.command("cost", epilog=_EXAMPLES)
@network_options.task
@network_options.arch
@network_options.alpha
@network_options.resolution
@network_options.rho
@network_options.variants
@network_options.feature_stride
@options.option(
    "--classes",
    group=Group.NETWORK,
    type=int,
    metavar="N",
    help="Classes that the network tells apart; if absent 1000, or of a detector the 91 columns of COCO.",
)
@options.option(
    "--all",
    "everything",
    group=Group.COMMON,
    is_flag=True,
    help="Show all published networks of the architecture, and the figures that were published.",
)
@options.option(
    "--compare",
    group=Group.COMMON,
    is_flag=True,
    help="MobileNet v1: show tables 4 and 5 of the paper beside our figures.",
)
@options.option(
    "--by-layer", group=Group.COMMON, is_flag=True, help="Show every convolution and its share of the work."
)
@options.as_json
def command(**given: Any) -> None:
    """Show the mult-adds and parameters of a MobileNet, without building it.

    A separable block costs D_K*D_K*aM*rD_F*rD_F + aM*aN*rD_F*rD_F mult-adds, a standard convolution
    D_K*D_K*aM*aN*rD_F*rD_F (arXiv 1704.04861, with width multiplier a and resolution multiplier r). Convolutions alone
    are counted.
    """
    given["classes"] = given["classes"] or _CLASSES[given["task"]]
    if given["everything"] or given["compare"]:
        row = _published_alone(given)
        lines = (_all if given["everything"] else _compare)(row, given["classes"], as_json=given["as_json"])
    else:
        resolution = network_options.resolution_or_rho(
            given["resolution"], given["rho"], default_px=_RESOLUTION_PX[given["task"]]
        )
        spec = network_options.spec_of(given, resolution=resolution, classes=given["classes"])
        lines = _one(spec, by_layer=given["by_layer"], as_json=given["as_json"])
    click.echo("\n".join(lines))


def _published_alone(given: Mapping[str, Any]) -> Architecture:
    """The architecture whose published networks are wanted.

    Raises `OptionError` for options of one network beside those that show many, and where there is nothing to show.
    """
    if given["everything"] and given["compare"]:
        raise OptionError("give --all or --compare, not both")
    wanted = "--all" if given["everything"] else "--compare"
    if given["task"] is not Task.CLASSIFY:
        raise OptionError(f"{wanted} is for --task {Task.CLASSIFY}, got --task {given['task']}: drop {wanted}")
    own = network_options.spec_of(given, resolution=REFERENCE_RESOLUTION, classes=given["classes"])
    for name, default in variant_options(type(own)).items():
        value = given[name]
        if value != default:
            said = f"--{name}" if value is True else f"--{name} {value}"
            raise OptionError(f"{wanted} shows networks that were published; drop {said}")
    row = architecture_of(own)
    if given["compare"] and not row.paper:
        compared = " or ".join(each.name for each in ARCHITECTURES if each.paper)
        raise OptionError(f"--compare is for --arch {compared}, got --arch {row.name}: drop --compare")
    return row


def _all(architecture: Architecture, classes: int, *, as_json: bool) -> list[str]:
    rows = [(row, architecture.cost(replace(row.spec, classes=classes))) for row in architecture.published]
    if as_json:
        return [json.dumps([_published_as_dict(row, total) for row, total in rows], indent=2)]
    variants = {row: " ".join(row.spec.variant_names) for row, _ in rows}
    width = max(map(len, variants.values()))
    return [
        f"alpha   px   rho  {'':<{width}}   mult-adds   parameters   published: mult-adds  parameters   "
        "top-1 float -> int8",
        *(
            f"{row.alpha:5}  {row.spec.resolution!s:>3}  {_rho(row.spec)}  {variants[row]:<{width}}"
            f"{total.mult_adds / 1e6:8.1f} M  {total.parameters:11,}  {row.mult_adds_m:18} M    "
            f"{row.parameters_m:6.2f} M   {row.top1_float:11.1%} -> "
            f"{'-' if row.top1_int8 is None else f'{row.top1_int8:.1%}'}"
            for row, total in rows
        ),
        architecture.published_note,
    ]


def _published_as_dict(row: Published, total: Cost) -> dict[str, Any]:
    return {
        "arch": row.spec.architecture,
        "alpha": row.alpha,
        "resolution_px": row.spec.resolution.json,
        **row.spec.variant,
        "mult_adds": total.mult_adds,
        "parameters": total.parameters,
        "published_mult_adds_m": row.mult_adds_m,
        "published_parameters_m": row.parameters_m,
        "published_top1_float": row.top1_float,
        "published_top1_int8": row.top1_int8,
    }


def _compare(architecture: Architecture, classes: int, *, as_json: bool) -> list[str]:
    rows = [(row, architecture.cost(replace(row.spec, classes=classes))) for row in architecture.paper]
    if as_json:
        return [json.dumps([_compared_as_dict(row, total) for row, total in rows], indent=2)]
    return [
        "table  network            top-1   mult-adds   ours (deviation)   parameters   ours (deviation)  kernels alone",
        *(
            f"{row.table:5}  {row.name:<17} {row.top1:6.1%}  {row.mult_adds_m:8} M  "
            f"{_beside(total.mult_adds, row.mult_adds_m, decimals=1)}  "
            f"{row.parameters_m:11} M  {_beside(total.parameters, row.parameters_m, decimals=2)}  "
            f"{total.weights / 1e6:11.2f} M"
            for row, total in rows
        ),
        f"Published: arXiv {architecture.arxiv}, tables 4 and 5. The paper counts kernels alone; our parameters "
        "include batch normalization and the head's bias.",
    ]


def _beside(ours: int, published_m: float, *, decimals: int) -> str:
    return f"{ours / 1e6:6.{decimals}f} M ({_deviation(ours, published_m):+.2%})"


def _deviation(ours: int, published_m: float) -> float:
    return ours / (published_m * 1e6) - 1


def _compared_as_dict(row: PaperNetwork, total: Cost) -> dict[str, Any]:
    return {
        "table": row.table,
        "name": row.name,
        "arch": row.spec.architecture,
        "alpha": row.spec.alpha,
        "resolution_px": row.spec.resolution.json,
        **row.spec.variant,
        "mult_adds": total.mult_adds,
        "published_mult_adds_m": row.mult_adds_m,
        "mult_adds_deviation": _deviation(total.mult_adds, row.mult_adds_m),
        "parameters": total.parameters,
        "weights": total.weights,
        "published_parameters_m": row.parameters_m,
        "parameters_deviation": _deviation(total.parameters, row.parameters_m),
        "published_top1": row.top1,
    }


def _one(spec: NetworkSpec, *, by_layer: bool, as_json: bool) -> list[str]:
    architecture = architecture_of(spec)
    total = architecture.cost(spec)
    remarks = architecture.remarks(spec, total)
    if as_json:
        return [json.dumps(_as_dict(spec, total, remarks, by_layer=by_layer), indent=2)]
    rho = "" if spec.rho is None else f" (rho {_rho(spec)})"
    lines = [
        f"{spec.title}, alpha {spec.alpha:g}, {spec.resolution} px{rho}, {spec.classes} classes",
        f"mult-adds   {total.mult_adds:>13,}  ({total.mult_adds / 1e6:.1f} M)",
        f"parameters  {total.parameters:>13,}  ({total.parameters / 1e6:.2f} M)",
        *remarks.lines,
    ]
    return lines + (["", *_layer_table(total)] if by_layer else [])


def _layer_table(total: Cost) -> list[str]:
    named = max(12, *(len(layer.name) for layer in total.layers))
    kind = max(10, *(len(layer.kind) for layer in total.layers))
    size = max(4, *(len(str(layer.output)) for layer in total.layers))
    columns = f"D_K     M     N {'D_F':>{size}}     mult-adds  share   parameters  share  vs standard"
    header = f"{'layer':<{named}} {'kind':<{kind}}  {columns}"
    rows = [
        f"{layer.name:<{named}} {layer.kind:<{kind}} {layer.kernel_px:4} {layer.channels_in:5} {layer.channels_out:5} "
        f"{layer.output!s:>{size}}  {layer.mult_adds:12,}  {layer.mult_adds / total.mult_adds:5.1%}  "
        f"{layer.parameters:11,}  {layer.parameters / total.parameters:5.1%}  {_against_standard(layer)}"
        for layer in total.layers
    ]
    is_square = all(layer.output.is_square for layer in total.layers)
    terms = [
        "",
        "Terms (M, N and D_F as in the table, after alpha and rho):",
        "  depthwise  D_K^2 * M * D_F^2        pointwise  M * N * D_F^2        standard  D_K^2 * M * N * D_F^2",
        "  one separable block against a standard convolution: 1/N + 1/D_K^2",
    ]
    return [header, *rows, *terms, *(() if is_square else ("  D_F^2 is the height times the width of the map",))]


def _rho(spec: NetworkSpec) -> str:
    return "-" if spec.rho is None else f"{spec.rho:.3f}"


def _against_standard(layer: LayerCost) -> str:
    return f"1/{layer.standard_mult_adds / layer.mult_adds:.0f}" if layer.kind == "depthwise" else ""


def _as_dict(spec: NetworkSpec, total: Cost, remarks: Remarks, *, by_layer: bool) -> dict[str, Any]:
    mult_add_share, weight_share = total.share("pointwise")
    result: dict[str, Any] = {
        "arch": spec.architecture,
        "alpha": spec.alpha,
        "resolution_px": spec.resolution.json,
        "rho": spec.rho,
        "classes": spec.classes,
        **spec.variant,
        "mult_adds": total.mult_adds,
        "parameters": total.parameters,
        "pointwise_mult_add_share": mult_add_share,
        "pointwise_weight_share": weight_share,
        **remarks.figures,
    }
    if by_layer:
        result["layers"] = [_layer_as_dict(layer) for layer in total.layers]
    return result


def _layer_as_dict(layer: LayerCost) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "kernel_px": layer.kernel_px,
        "channels_in": layer.channels_in,
        "channels_out": layer.channels_out,
        "map_px": layer.output.json,
        "mult_adds": layer.mult_adds,
        "parameters": layer.parameters,
        "standard_mult_adds": layer.standard_mult_adds,
    }
