"""What runs an exported file: one class per file format, one interface for all."""
