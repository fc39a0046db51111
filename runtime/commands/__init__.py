"""The commands ``ailsr-bench``, ``ailsr-upscale``, ``ailsr-show`` and ``ailsr-web``."""
