"""``python -m ailsr.train.photographs DIR``: the sample photographs of scikit-image and -learn.

They come with those packages (the ``demo`` extra), so nothing is downloaded. `make demo` trains on
DIR/train, chooses its checkpoint by DIR/val and evaluates on DIR/test.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ailsr.runtime.commands.command import message, one_line_errors
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.image import write

SUBSETS = {
    "train": ("astronaut", "rocket", "hubble_deep_field", "motorcycle", "grass", "brick"),
    "val": ("coffee",),
    "test": ("chelsea", "china", "flower"),
}


def main(folder: Path) -> None:
    """Write the photographs as PNG files to the subsets' folders in ``folder``."""
    try:
        import skimage.data
        from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError('the photographs need: pip install "ailsr[demo]"') from error
    for subset, names in SUBSETS.items():
        for name in names:
            if name in ("china", "flower"):
                pixels = load_sample_image(f"{name}.jpg")
            elif name == "motorcycle":
                pixels = skimage.data.stereo_motorcycle()[0]  # type: ignore[no-untyped-call]
            else:
                pixels = getattr(skimage.data, name)()
            if pixels.ndim == 2:
                pixels = pixels[..., None].repeat(3, axis=2)
            write(pixels, folder / subset / f"{name}.png")
    message(f"{sum(map(len, SUBSETS.values()))} photographs in {folder}")


if __name__ == "__main__":
    with one_line_errors():
        if len(sys.argv) != 2:
            raise UsageError("usage: python -m ailsr.train.photographs DIR")
        main(Path(sys.argv[1]))
