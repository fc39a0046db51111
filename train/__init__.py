"""Networks, Adaptive Importance Learning and the training loop."""

import os

# Threads that spin while they wait for each other slow training down tenfold on a busy machine.
# torch's OpenMP reads this when it is loaded, so it stands before any import of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
