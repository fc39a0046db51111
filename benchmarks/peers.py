"""What others publish, which ``front.py`` measures beside the zoo: files in folders ``--peers``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mulut

OPENCV = "opencv_dnn_superres/{}_x{}.pb"
ABPN = "abpn_tflite/base7_D4C28_bs16ps64_lr1e-3{}.tflite"
SR_MOBILE = "sr_mobile_abpn_onnx/generator_x2_model{}.onnx"
EDGE_SR = "edge_sr/{}.onnx"
ARTCNN = "artcnn/{}.onnx"
OF_OPENCV = ("FSRCNN-small", "FSRCNN", "ESPCN")


@dataclass(frozen=True)
class Peer:
    """A published network."""

    name: str
    place: str
    """Its path in a folder of ``--peers``."""
    is_luma: bool = False
    """It takes luma: ``ailsr-export`` makes files of it that take RGB, in float32 for onnxruntime
    and in int8 for TFLite."""

    def path(self, folders: Sequence[Path]) -> Path | None:
        """Where it lies, in the first of ``folders`` that has it; None: in none."""
        return next((f / self.place for f in folders if (f / self.place).exists()), None)


def _opencv(scale: int) -> list[Peer]:
    return [Peer(f"{name}, OpenCV", OPENCV.format(name, scale)) for name in OF_OPENCV]


def _edge_sr(of_maximum: str, of_three: str) -> list[Peer]:
    """eSR-MAX, of one convolution, and eSR-CNN, of three, by the names of their weights."""
    return [
        Peer("eSR-MAX", EDGE_SR.format(f"eSR-MAX_{of_maximum}"), True),
        Peer("eSR-CNN", EDGE_SR.format(f"eSR-CNN_{of_three}"), True),
    ]


PEERS: dict[int, list[Peer]] = {
    2: [
        *_opencv(2),
        Peer("ABPN of SR-mobile, float32", SR_MOBILE.format("")),
        Peer("ABPN of SR-mobile, int8", SR_MOBILE.format(".quant")),
        Peer("ArtCNN C4F16", ARTCNN.format("ArtCNN_C4F16"), True),
        Peer("ArtCNN C4F32", ARTCNN.format("ArtCNN_C4F32"), True),
        *_edge_sr("s2_K7_C8", "s2_C6_D3_S15"),
    ],
    3: [
        *_opencv(3),
        Peer("ABPN by its authors, float32", ABPN.format("")),
        Peer("ABPN by its authors, int8", ABPN.format("_qat")),
        *_edge_sr("s3_K7_C16", "s3_C8_D3_S15"),
    ],
    4: [
        *_opencv(4),
        *_edge_sr("s4_K7_C8", "s4_C8_D9_S6"),
        Peer("MuLUT", f"mulut/{mulut.FIRST_TABLE}"),
    ],
}
"""By scale. Of edge-SR, those for which its authors state the best PSNR on Set14."""
