"""Graph passes behind tf2onnx, in the order of `order.passes_for`."""
