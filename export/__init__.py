"""From a trained network to verified ONNX, TFLite and Core ML files."""
