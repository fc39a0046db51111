"""ONNX, in float and in QDQ int8."""
