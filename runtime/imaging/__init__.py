"""Images: read, written, resized and compared, as 8-bit RGB."""
