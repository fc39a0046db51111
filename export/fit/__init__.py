"""Which network fits into a budget of milliseconds: ``ailsr-fit``."""
