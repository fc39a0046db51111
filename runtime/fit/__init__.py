"""Latency of networks that were never run, from a table of small ones."""
