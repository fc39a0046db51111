"""Devices that measure files: this machine, or another one over ssh or adb."""
