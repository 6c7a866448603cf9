"""What executes artifacts: LiteRT, onnxruntime, and what each really runs."""
