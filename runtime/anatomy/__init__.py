"""The tensors, operators and metadata of model files, and the accelerators that can run them."""
