"""`mbexport cost`: mult-adds and parameters of a MobileNet v1, without building it."""

import json
from dataclasses import replace
from typing import Any

import click

from mbexport.commands import options
from mbexport.commands.options import Group
from mbexport.errors import OptionError
from mbexport.models.mobilenet_v1.cost import Cost, LayerCost, cost
from mbexport.models.mobilenet_v1.published import PAPER, PUBLISHED, PaperNetwork
from mbexport.models.mobilenet_v1.spec import REFERENCE_RESOLUTION_PX, Convolution, ModelSpec

_EXAMPLES = """\b
Examples:
  mbexport cost --all
  mbexport cost --compare
  mbexport cost --alpha 0.75 --resolution 192 --by-layer
"""


@options.command("cost", epilog=_EXAMPLES)
@options.alpha
@options.resolution
@options.rho
@options.conv
@options.shallow
@options.option(
    "--classes", group=Group.NETWORK, type=int, default=1000, metavar="N", help="Classes that the network tells apart."
)
@options.option(
    "--all",
    "everything",
    group=Group.COMMON,
    is_flag=True,
    help="Show all sixteen published networks, and the figures that were published.",
)
@options.option(
    "--compare", group=Group.COMMON, is_flag=True, help="Show tables 4 and 5 of the paper beside our figures."
)
@options.option(
    "--by-layer", group=Group.COMMON, is_flag=True, help="Show every convolution and its share of the work."
)
@options.as_json
def command(  # noqa: PLR0917  # click passes by name
    alpha: float,
    resolution: int | None,
    rho: float | None,
    conv: Convolution,
    shallow: bool,
    classes: int,
    everything: bool,
    compare: bool,
    by_layer: bool,
    as_json: bool,
) -> None:
    """Show the mult-adds and parameters of a MobileNet v1, without building it.

    A separable block costs D_K*D_K*aM*rD_F*rD_F + aM*aN*rD_F*rD_F mult-adds, a standard convolution
    D_K*D_K*aM*aN*rD_F*rD_F (arXiv 1704.04861, with width multiplier a and resolution multiplier r).
    """
    if everything or compare:
        _require_published_alone(everything=everything, compare=compare, conv=conv, shallow=shallow)
        lines = (_all if everything else _compare)(classes, as_json=as_json)
    else:
        px = options.resolution_px(resolution, rho, default_px=REFERENCE_RESOLUTION_PX)
        spec = ModelSpec(alpha=alpha, resolution_px=px, classes=classes, conv=conv, shallow=shallow)
        lines = _one(spec, by_layer=by_layer, as_json=as_json)
    click.echo("\n".join(lines))


def _require_published_alone(*, everything: bool, compare: bool, conv: Convolution, shallow: bool) -> None:
    """Raises `OptionError` for options of one network beside those that show many."""
    if everything and compare:
        raise OptionError("give --all or --compare, not both")
    if conv is not Convolution.SEPARABLE or shallow:
        given = "--shallow" if shallow else f"--conv {conv}"
        raise OptionError(f"{'--all' if everything else '--compare'} shows networks that were published; drop {given}")


def _all(classes: int, *, as_json: bool) -> list[str]:
    rows = [
        (row, cost(ModelSpec(alpha=row.alpha, resolution_px=row.resolution_px, classes=classes))) for row in PUBLISHED
    ]
    if as_json:
        return [
            json.dumps(
                [
                    {
                        "alpha": row.alpha,
                        "resolution_px": row.resolution_px,
                        "mult_adds": total.mult_adds,
                        "parameters": total.parameters,
                        "published_mult_adds_m": row.mult_adds_m,
                        "published_top1_float": row.top1_float,
                        "published_top1_int8": row.top1_int8,
                    }
                    for row, total in rows
                ],
                indent=2,
            )
        ]
    lines = [
        "alpha   px   rho    mult-adds   parameters   published mult-adds   published top-1 float -> int8",
        *(
            f"{row.alpha:5}  {row.resolution_px:3}  {row.resolution_px / REFERENCE_RESOLUTION_PX:.3f}  "
            f"{total.mult_adds / 1e6:8.1f} M  {total.parameters:11,}  {row.mult_adds_m:17} M   "
            f"{row.top1_float:22.1%} -> {row.top1_int8:.1%}"
            for row, total in rows
        ),
    ]
    note = (
        "Published: research/slim of tensorflow/models. Its alpha 0.75 leaves out the stem (the paper has 325 M, "
        "as here); its 34 M at 0.25/192 breaks the rho*rho law (30 M)."
    )
    return [*lines, note]


def _compare(classes: int, *, as_json: bool) -> list[str]:
    rows = [(row, cost(replace(row.spec, classes=classes))) for row in PAPER]
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
        "Published: arXiv 1704.04861, tables 4 and 5. The paper counts kernels alone; our parameters include batch "
        "normalization and the head's bias.",
    ]


def _beside(ours: int, published_m: float, *, decimals: int) -> str:
    return f"{ours / 1e6:6.{decimals}f} M ({_deviation(ours, published_m):+.2%})"


def _deviation(ours: int, published_m: float) -> float:
    return ours / (published_m * 1e6) - 1


def _compared_as_dict(row: PaperNetwork, total: Cost) -> dict[str, Any]:
    return {
        "table": row.table,
        "name": row.name,
        "alpha": row.spec.alpha,
        "resolution_px": row.spec.resolution_px,
        "conv": row.spec.conv,
        "shallow": row.spec.shallow,
        "mult_adds": total.mult_adds,
        "published_mult_adds_m": row.mult_adds_m,
        "mult_adds_deviation": _deviation(total.mult_adds, row.mult_adds_m),
        "parameters": total.parameters,
        "weights": total.weights,
        "published_parameters_m": row.parameters_m,
        "parameters_deviation": _deviation(total.parameters, row.parameters_m),
        "published_top1": row.top1,
    }


def _one(spec: ModelSpec, *, by_layer: bool, as_json: bool) -> list[str]:
    total = cost(spec)
    if as_json:
        return [json.dumps(_as_dict(spec, total, by_layer=by_layer), indent=2)]
    lines = [
        f"{_title(spec)}, alpha {spec.alpha:g}, {spec.resolution_px} px (rho {spec.rho:.3f}), {spec.classes} classes",
        f"mult-adds   {total.mult_adds:>13,}  ({total.mult_adds / 1e6:.1f} M)",
        f"parameters  {total.parameters:>13,}  ({total.parameters / 1e6:.2f} M)",
        *_where_the_work_is(spec, total),
    ]
    return lines + (["", *_layer_table(total)] if by_layer else [])


def _title(spec: ModelSpec) -> str:
    standard = " of standard convolutions" if spec.conv is Convolution.STANDARD else ""
    return f"{'Shallow ' if spec.shallow else ''}MobileNet v1{standard}"


def _where_the_work_is(spec: ModelSpec, total: Cost) -> list[str]:
    separable, standard = total.separable_saving()
    is_standard = spec.conv is Convolution.STANDARD
    mult_add_share, weight_share = total.share("standard" if is_standard else "pointwise")
    share = f"hold {mult_add_share:.1%} of the mult-adds and {weight_share:.1%} of the weights"
    if is_standard:
        return [
            f"the blocks' standard convolutions {share}",
            f"the {len(spec.blocks)} blocks of standard 3x3 convolutions cost {standard / 1e6:.1f} M, "
            f"{standard / separable:.1f} times as much as separable blocks in their place, {separable / 1e6:.1f} M",
        ]
    return [
        f"1x1 convolutions {share}",
        f"the {len(spec.blocks)} separable blocks cost {separable / 1e6:.1f} M; standard 3x3 convolutions in their "
        f"place {standard / 1e6:.1f} M, {standard / separable:.1f} times as much",
    ]


def _layer_table(total: Cost) -> list[str]:
    header = "layer        kind        D_K     M     N  D_F     mult-adds  share   parameters  share  vs standard"
    rows = [
        f"{layer.name:<12} {layer.kind:<10} {layer.kernel_px:4} {layer.channels_in:5} {layer.channels_out:5} "
        f"{layer.map_px:4}  {layer.mult_adds:12,}  {layer.mult_adds / total.mult_adds:5.1%}  "
        f"{layer.parameters:11,}  {layer.parameters / total.parameters:5.1%}  {_against_standard(layer)}"
        for layer in total.layers
    ]
    terms = [
        "",
        "Terms (M, N and D_F as in the table, after alpha and rho):",
        "  depthwise  D_K^2 * M * D_F^2        pointwise  M * N * D_F^2        standard  D_K^2 * M * N * D_F^2",
        "  one separable block against a standard convolution: 1/N + 1/D_K^2",
    ]
    return [header, *rows, *terms]


def _against_standard(layer: LayerCost) -> str:
    return f"1/{layer.standard_mult_adds / layer.mult_adds:.0f}" if layer.kind == "depthwise" else ""


def _as_dict(spec: ModelSpec, total: Cost, *, by_layer: bool) -> dict[str, Any]:
    separable, standard = total.separable_saving()
    mult_add_share, weight_share = total.share("pointwise")
    result: dict[str, Any] = {
        "alpha": spec.alpha,
        "resolution_px": spec.resolution_px,
        "rho": spec.rho,
        "classes": spec.classes,
        "conv": spec.conv,
        "shallow": spec.shallow,
        "mult_adds": total.mult_adds,
        "parameters": total.parameters,
        "pointwise_mult_add_share": mult_add_share,
        "pointwise_weight_share": weight_share,
        "separable_mult_adds": separable,
        "standard_mult_adds": standard,
    }
    if by_layer:
        names = (
            "name",
            "kind",
            "kernel_px",
            "channels_in",
            "channels_out",
            "map_px",
            "mult_adds",
            "parameters",
        )
        result["layers"] = [
            {**{name: getattr(layer, name) for name in names}, "standard_mult_adds": layer.standard_mult_adds}
            for layer in total.layers
        ]
    return result
