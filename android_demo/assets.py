"""``python android_demo/assets.py [NAME...]``: what the app bundles, exported into its assets.

Networks of the zoo, all of them unless named (``sesr_m5_x2``), as int8 TFLite files with their
cards, and the photographs on which the app takes PSNR: those of scikit-image and scikit-learn that
the files were not calibrated on. Needs the ``demo`` extra.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from ailsr.export.command import main as export
from ailsr.export.options import ExportConfig
from ailsr.runtime.commands.command import message, one_line_errors
from ailsr.train import photographs, zoo

ASSETS = Path(__file__).parent / "app" / "src" / "main" / "assets"


def main(names: list[str]) -> None:
    """Replace the app's assets. Raises AilsrError when a network cannot be exported."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, made = Path(folder) / "photographs", Path(folder) / "assets"
        photographs.main(pictures)
        for name in names:
            export(
                ExportConfig(
                    model=Path(zoo.PREFIX + name),
                    target=["tflite"],
                    precision=["int8"],
                    output=made / "models",
                    calibration=pictures / "train",
                    images=pictures / "test",
                )
            )
        shutil.copytree(pictures / "test", made / "pictures")
        shutil.rmtree(ASSETS, ignore_errors=True)
        shutil.copytree(made, ASSETS)
    message(f"{len(names)} networks in {ASSETS}")


if __name__ == "__main__":
    with one_line_errors():
        main(sys.argv[1:] or zoo.names())
