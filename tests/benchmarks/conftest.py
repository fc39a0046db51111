"""What tests of benchmarks share."""

import pytest
import skimage.data

from ailsr.runtime.imaging.image import write


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    write(skimage.data.coffee()[50:200, 100:300], folder / "photos" / "coffee.png")
    return folder
