"""Where files are measured: on this machine, over ssh, or over adb."""
