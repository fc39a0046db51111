"""Networks, Adaptive Importance Learning and the training loop."""
