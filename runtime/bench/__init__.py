"""Measuring: latency, memory and quality of a file, and the results as data."""
