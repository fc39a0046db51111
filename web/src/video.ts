/**
 * A video frame by frame, by WebCodecs: demuxed, decoded, upscaled, encoded and muxed again. Each
 * frame keeps its time; one that equals the frame before is not computed again. Sound is copied
 * where the container of the result takes its codec.
 */

import {
  BlobSource, BufferTarget, EncodedAudioPacketSource, EncodedPacketSink, Input,
  MATROSKA, MP4, Mp4OutputFormat, Output, QTFF, VideoSample, VideoSampleSink, VideoSampleSource, WebMOutputFormat,
  WEBM, getFirstEncodableVideoCodec, QUALITY_HIGH,
  type InputAudioTrack, type InputVideoTrack, type OutputFormat, type VideoCodec,
} from "mediabunny";
import type { Video } from "./engine";
import type { Report } from "./measuring";
import type { Model } from "./model";
import type { Picture } from "./picture";

/** How results can be written, the better ones first. */
const WAYS: { format: OutputFormat; codecs: VideoCodec[] }[] = [
  { format: new WebMOutputFormat(), codecs: ["vp9", "vp8"] },
  { format: new Mp4OutputFormat(), codecs: ["avc"] },
];

interface Way {
  format: OutputFormat;
  codec: VideoCodec;
  /** The sound is copied. */
  sound: boolean;
}

/** The upscaled video. Throws one line for what cannot be decoded or encoded here. */
export async function upscaleVideo(model: Model, file: Blob, report: Report): Promise<Video> {
  const start = performance.now();
  if (typeof VideoDecoder === "undefined" || typeof VideoEncoder === "undefined") {
    throw new Error(
      self.isSecureContext
        ? "this browser has no WebCodecs, which video needs"
        : "browsers decode video for a page over https or on localhost only: see docs/web.md of ailsr",
    );
  }
  report("reading", 0);
  const input = new Input({ formats: [MP4, QTFF, WEBM, MATROSKA], source: new BlobSource(file) });
  if (!(await input.canRead())) throw new Error("this is no video of MP4, MOV, WebM or Matroska");
  const track = await input.getPrimaryVideoTrack();
  if (!track) throw new Error("there is no video in that file");
  await check(track);
  const audio = await input.getPrimaryAudioTrack();
  const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
  const { scale } = model.file;
  const way = await chooseWay(width * scale, height * scale, audio);
  const output = new Output({ format: way.format, target: new BufferTarget() });
  const frames = new VideoSampleSource({ codec: way.codec, bitrate: QUALITY_HIGH });
  output.addVideoTrack(frames);
  const sound = way.sound && audio ? new EncodedAudioPacketSource((await audio.getCodec())!) : null;
  if (sound) output.addAudioTrack(sound);
  await output.start();
  const copied = sound && audio ? copySound(audio, sound) : undefined;
  const duration = await track.computeDuration();
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true })!;
  let [count, unchanged] = [0, 0];
  let last: { rgba: Uint8Array; large: Picture } | undefined;
  for await (const sample of new VideoSampleSink(track).samples()) {
    const { timestamp } = sample;
    sample.draw(context, 0, 0, width, height);
    const rgba = new Uint8Array(context.getImageData(0, 0, width, height).data.buffer);
    if (last && equal(last.rgba, rgba)) unchanged++;
    else last = { rgba, large: await model.upscale({ width, height, rgba }) };
    const { large } = last;
    const upscaled = new VideoSample(large.rgba, {
      format: "RGBX", codedWidth: large.width, codedHeight: large.height, timestamp,
      duration: sample.duration,
    });
    sample.close();
    await frames.add(upscaled);
    upscaled.close();
    report(`frame ${++count}, ${timestamp.toFixed(1)} of ${duration.toFixed(1)} s`, timestamp / duration);
  }
  frames.close();
  await copied;
  report("writing", 1);
  await output.finalize();
  return {
    blob: new Blob([output.target.buffer!], { type: way.format.mimeType }),
    ending: way.format.fileExtension,
    width: width * scale,
    height: height * scale,
    frames: count,
    unchanged,
    sound: audio ? (sound ? "copied" : "left out") : "none",
    seconds: (performance.now() - start) / 1e3,
  };
}

/** Two frames of one size, each all of its buffer, have the same pixels. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  const [pixels, others] = [new Uint32Array(a.buffer), new Uint32Array(b.buffer)];
  for (let index = 0; index < pixels.length; index++) {
    if (pixels[index] !== others[index]) return false;
  }
  return true;
}

async function check(track: InputVideoTrack): Promise<void> {
  if (await track.hasHighDynamicRange()) {
    throw new Error("the video has a high dynamic range (HDR), which would be lost: take another");
  }
  if (!(await track.canDecode())) {
    throw new Error(`this browser cannot decode the video (${(await track.getCodec()) ?? "unknown"})`);
  }
}

/** The first way that keeps the sound, or else the first that this browser can encode. */
async function chooseWay(width: number, height: number, audio: InputAudioTrack | null): Promise<Way> {
  const ways: Way[] = [];
  for (const { format, codecs } of WAYS) {
    const codec = await getFirstEncodableVideoCodec(codecs, { width, height, bitrate: QUALITY_HIGH });
    const spoken = audio && (await audio.getCodec());
    const sound = !spoken || format.getSupportedAudioCodecs().includes(spoken);
    if (codec) ways.push({ format, codec, sound });
  }
  const way = ways.find(({ sound }) => sound) ?? ways[0];
  if (!way) throw new Error(`this browser cannot encode a video of ${width} × ${height}`);
  return way;
}

async function copySound(track: InputAudioTrack, to: EncodedAudioPacketSource): Promise<void> {
  const decoderConfig = (await track.getDecoderConfig())!;
  for await (const packet of new EncodedPacketSink(track).packets()) {
    await to.add(packet, { decoderConfig });
  }
  to.close();
}
