"""A page that upscales and measures in the browser of a phone."""
