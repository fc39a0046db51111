"""What model files are made of, read from their bytes, and who can run that."""
