"""Networks that fit into a budget of milliseconds: ``ailsr-fit``."""
