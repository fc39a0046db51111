"""Core ML packages, and their evaluation where there is no Core ML."""
