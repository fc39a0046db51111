"""Images of any size through a file: tiles, frames, and several engines at once."""
