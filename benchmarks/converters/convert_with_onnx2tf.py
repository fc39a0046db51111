"""An ONNX model as a TFLite file, by onnx2tf.

    python convert_with_onnx2tf.py MODEL.onnx float32|int8 CALIBRATION.npy OUTPUT.tflite

As its documentation shows it. CALIBRATION.npy holds images of the input's size, [n, h, w, 3] in
[0, 1]. onnx2tf checks itself on images that it downloads unless they are in the current folder,
so some of the given ones are put there under that name.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

OWN_PICTURES = "calibration_image_sample_data_20x128x128x3_float32.npy"
NO_MEAN, NO_DEVIATION = "[[[[0, 0, 0]]]]", "[[[[1, 1, 1]]]]"

model, precision, calibration, output = (
    Path(sys.argv[1]).absolute(), sys.argv[2], Path(sys.argv[3]).absolute(), sys.argv[4],
)  # fmt: skip
tools = Path(sys.executable).parent
command = [tools / "onnx2tf", "-i", model, "-o", "converted", "-n"]
kind = "float32"
if precision == "int8":
    (image,) = onnx.load(model).graph.input
    command += ["-oiqt", "-cind", image.name, calibration, NO_MEAN, NO_DEVIATION]
    kind = "full_integer_quant"
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    np.save(
        folder / OWN_PICTURES, np.resize(np.load(calibration)[:, :128, :128], (20, 128, 128, 3))
    )
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}  # onnxsim
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        place = re.search(
            r"onnx_op_name: *(\S+)", re.sub(r"\x1b\[\d*m", "", done.stdout + done.stderr)
        )
        sys.exit(f"onnx2tf stops at {place[1]}" if place else done.stderr[-300:])
    shutil.copyfile(folder / "converted" / f"{model.stem}_{kind}.tflite", output)
