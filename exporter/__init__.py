"""mbexport: from a Keras MobileNet to verified int8 TFLite and ONNX."""

__version__ = "0.1.0"
