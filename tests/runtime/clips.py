"""Small video files for tests, made by PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

try:
    import av
except ImportError:
    av = None


def write_clip(
    path: Path, frames, *, codec="libx264", kind="yuv420p", rate=25, times=None,
    time_base=None, options=None, context=None, sound=None, subtitles=(), rotation=0,
    to=None, made=None,
):  # fmt: skip
    """A video of ``frames`` (H×W×3, uint8) at ``path``.

    ``times``: time stamps in ticks of ``time_base``. ``context``: attributes of the encoder.
    ``to``: how ``kind`` is made of RGB, ``made``: frames of it. ``sound``: a codec.
    ``subtitles``: (start, text) in ms.
    """
    time_base = time_base or Fraction(1, rate)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = kind
        stream.time_base = stream.codec_context.time_base = time_base
        for name, value in (context or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        audio = container.add_stream(sound, rate=48000) if sound else None
        texts = container.add_mux_stream("subrip") if subtitles else None
        if texts:
            texts.time_base = Fraction(1, 1000)
        samples = 48000 // rate
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            if made:
                frame = made[number]
            elif kind != "rgb24":
                frame = frame.reformat(
                    format=kind, src_color_range=2, interpolation="BICUBIC", **(to or {})
                )
            frame.pts = number if times is None else times[number]
            frame.time_base = time_base
            container.mux(stream.encode(frame))
            if audio:
                tone = np.sin(np.arange(samples) * 0.06).astype(np.float32)[None].repeat(2, 0)
                piece = av.AudioFrame.from_ndarray(tone, format="fltp", layout="stereo")
                piece.sample_rate, piece.pts = 48000, number * samples
                piece.time_base = Fraction(1, 48000)
                container.mux(audio.encode(piece))
        for start, text in subtitles:
            packet = av.Packet(text.encode())
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = 400, Fraction(1, 1000), texts
            container.mux(packet)
        container.mux(stream.encode(None))
        if audio:
            container.mux(audio.encode(None))
    return path


def frames_of(path: Path):
    """The decoded frames of the video at ``path``."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times_of(path: Path):
    """The time stamps of its frames, in seconds."""
    return [frame.pts * frame.time_base for frame in frames_of(path)]


def packets_of(path: Path, kind: str):
    """(seconds, bytes) of the packets of its streams of ``kind``."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        packets = [p for p in container.demux(streams) if p.size] if streams else []
        return [(float(p.pts * p.time_base), bytes(p)) for p in packets]
