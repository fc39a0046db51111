"""Engines, which run exported files: one class per file format, one interface for all."""
