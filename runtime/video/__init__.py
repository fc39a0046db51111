"""Video files: read, upscaled in segments that stand alone, and joined with sound and subtitles."""
