"""The graph between the network and the targets, and its rewrites."""
