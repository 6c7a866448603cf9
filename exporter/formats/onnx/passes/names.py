"""Name tensors and order constants by the network alone, and store each constant once."""

from collections import defaultdict

import onnx

from mbexport.formats.onnx.passes.graph import constants_of, drop_unused, replace_uses


def order_canonically(model: onnx.ModelProto) -> None:
    """Puts the nodes into the order in which the outputs need them, one after the other, input by input.

    tf2onnx orders them by their names where the graph leaves that open, and "x__1000" comes before "x__999".

    before:  DQ(bias_2), DQ(weight_1), DQ(weight_2), Conv_1, ... (changes with the number of earlier conversions)
    after:   DQ(image), DQ(weight_1), DQ(bias_1), Conv_1, Q, DQ, DQ(weight_2), ...
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    ordered: list[onnx.NodeProto] = []
    done: set[int] = set()
    waiting = [(makers[value.name], False) for value in reversed(graph.output)]
    while waiting:
        node, is_ready = waiting.pop()
        if id(node) in done:
            continue
        if is_ready:
            done.add(id(node))
            ordered.append(node)
            continue
        waiting.append((node, True))
        waiting += [(makers[name], False) for name in reversed(node.input) if name in makers]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def name_canonically(model: onnx.ModelProto) -> None:
    """Names every tensor after its place, and orders the constants by use: equal networks give equal bytes.

    before:  "model/quant_conv_pw_9/FakeQuantWithMinMaxVarsPerChannel;..." (changes with every run)
    after:   nodes "conv_3", tensors "conv_3_out", constants "conv_3_weight"; input "image", output "scores"

    Several outputs keep their names.
    """
    graph = model.graph
    names: dict[str, str] = {graph.input[0].name: "image"}
    names |= {value.name: "scores" if len(graph.output) == 1 else value.name for value in graph.output}
    counts: dict[str, int] = defaultdict(int)
    constants = {initializer.name: initializer for initializer in graph.initializer}
    used: list[str] = []
    for node in graph.node:
        label = node.op_type.lower()
        node.name = f"{label}_{counts[label]}"
        counts[label] += 1
        for position, name in enumerate(node.input):
            if name in constants and name not in names:
                names[name] = f"{node.name}_in{position}"
                used.append(name)
        for position, name in enumerate(node.output):
            names.setdefault(name, f"{node.name}_out{position or ''}")
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.doc_string = ""
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
    kept = [constants[name] for name in used]
    for tensor in kept:
        tensor.name = names[tensor.name]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)


def share_constants(model: onnx.ModelProto) -> None:
    """Stores equal constants once.

    before:  Q(scale_1, zero_1) -> DQ(scale_2, zero_2), with equal values
    after:   Q(scale_1, zero_1) -> DQ(scale_1, zero_1)
    """
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    for name, value in constants_of(model).items():
        original = first.setdefault((value.dtype.str, value.shape, value.tobytes()), name)
        if original != name:
            replace_uses(model, name, original)
    drop_unused(model)
