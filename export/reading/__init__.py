"""From checkpoints, programs and ONNX models to the graph."""
