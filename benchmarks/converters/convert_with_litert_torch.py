"""A torch.export program as a TFLite file, by litert-torch and, for int8, ai-edge-quantizer.

    python convert_with_litert_torch.py PROGRAM.pt2 float32|int8 CALIBRATION.npy OUTPUT.tflite

As their documentation shows it: images with channels last, the recipe ``static_wi8_ai8``.
CALIBRATION.npy holds images of the input's size, [n, h, w, 3] in [0, 1].
"""

import sys
from pathlib import Path

import litert_torch
import numpy as np
import torch

program, precision, calibration, output = sys.argv[1:]
pictures = np.load(calibration)
network = torch.export.load(program).module()
network = litert_torch.to_channel_last_io(network, args=[0], outputs=[0])
model = litert_torch.convert(network, (torch.from_numpy(pictures[:1]),))
model.export(output)
if precision == "int8":
    from ai_edge_quantizer import quantizer, recipe

    float_model = bytearray(Path(output).read_bytes())
    quantization = quantizer.Quantizer(float_model, recipe.static_wi8_ai8())
    samples = [{"args_0": picture[None]} for picture in pictures]
    ranges = quantization.calibrate({"serving_default": samples})
    Path(output).write_bytes(quantization.quantize(ranges).quantized_model)
