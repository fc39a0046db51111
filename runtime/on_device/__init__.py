"""The program that an ssh device runs. Standard library only, syntax of old versions of Python."""
