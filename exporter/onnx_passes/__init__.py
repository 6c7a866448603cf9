"""Small passes over the ONNX graph that tf2onnx writes; `order.py` says in which order, and why."""
