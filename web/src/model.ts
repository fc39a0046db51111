/** An exported file in onnxruntime-web, ready to upscale images of any size. */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import { CHANNELS, fromElements, toElements, type Elements } from "./elements";
import { blank, copy, cut, padded, type Picture } from "./picture";
import { fidelity, probePicture } from "./probe";
import type { Fidelity } from "./report.schema";
import type { Runtime } from "./runtime";
import type { ModelFile } from "./setup";
import { planTiles, type Size } from "./tiles";

export type Progress = (done: number, of: number) => void;

export class Model {
  private constructor(
    readonly file: ModelFile,
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
  ) {}

  static async open(file: ModelFile, content: Uint8Array, runtime: Runtime): Promise<Model> {
    const options = { executionProviders: [runtime.backend], logSeverityLevel: 4 as const };
    return new Model(file, runtime, await runtime.ort.InferenceSession.create(content, options));
  }

  close(): Promise<void> {
    return this.session.release();
  }

  /** Whether what was exported is computed here, by one run; null for a file without a probe. */
  async fidelity(): Promise<Fidelity | null> {
    const { probe, sizes } = this.file;
    return probe && fidelity(probe, await this.run(probePicture(...sizes[0]), true));
  }

  /** `picture`, `scale` times as large. */
  async upscale(picture: Picture, progress?: Progress): Promise<Picture> {
    const { scale } = this.file;
    let result: Picture | undefined;
    for await (const band of this.bands(picture, progress)) {
      if (band.height === picture.height * scale) return band;
      result ??= blank(picture.width * scale, picture.height * scale);
      result.rgba.set(band.rgba, band.top * result.width * 4);
    }
    return result!;
  }

  /** The upscaled image by whole rows of tiles, from the top: no more is ever held. */
  async *bands(picture: Picture, progress?: Progress): AsyncGenerator<Picture & { top: number }> {
    const { scale, sizes, radius } = this.file;
    const tiles = planTiles([picture.height, picture.width], sizes, radius);
    let band: Picture | undefined;
    for (const [index, { rows, columns }] of tiles.entries()) {
      const height = (rows.last - rows.first) * scale;
      const large = await this.run(cut(picture, rows, columns));
      const [x, y] = [columns.first - columns.start, rows.first - rows.start];
      const width = (columns.last - columns.first) * scale;
      if (width === large.width && width === picture.width * scale) {
        const row = width * 4;
        band = { width, height, rgba: large.rgba.subarray(y * scale * row, (y * scale + height) * row) };
      } else {
        band ??= blank(picture.width * scale, height);
        copy(large, x * scale, y * scale, band, columns.first * scale, 0, width, height);
      }
      progress?.(index + 1, tiles.length);
      if (columns.last === picture.width) {
        yield { ...band, top: rows.first * scale };
        band = undefined;
      }
    }
  }

  /**
   * The file's output for a tile, which is padded to the least input size that holds it.
   * `opaqueOnly`: black where it is not opaque.
   */
  async run(tile: Picture, opaqueOnly = false): Promise<Picture> {
    if (!this.file.resizable) {
      const [height, width] = this.sizeFor(tile);
      tile = padded(tile, width, height);
    }
    const input = this.toTensor(tile);
    const output = await this.infer(input);
    const { scale } = this.file;
    const large = this.fromTensor(output, tile.width * scale, tile.height * scale, opaqueOnly);
    output.dispose();
    return large;
  }

  async infer(input: Tensor): Promise<Tensor> {
    const outputs = await this.session.run({ [this.session.inputNames[0]!]: input });
    return outputs[this.session.outputNames[0]!]!;
  }

  toTensor(picture: Picture): Tensor {
    const { width, height } = picture;
    const channels = CHANNELS[this.file.layout];
    const last = this.file.channels_last;
    const shape = last ? [1, height, width, channels] : [1, channels, height, width];
    const elements = toElements(picture, this.file);
    const { Tensor } = this.runtime.ort;
    if (elements instanceof Float32Array) return new Tensor("float32", elements, shape);
    if (elements instanceof Uint8Array) return new Tensor("uint8", elements, shape);
    return new Tensor("int8", elements, shape);
  }

  fromTensor(tensor: Tensor, width: number, height: number, opaqueOnly = false): Picture {
    const elements = tensor.data as Elements;
    if (elements.length !== width * height * CHANNELS[this.file.layout]) {
      throw new Error(`the file returned ${tensor.dims.join("×")} values: export it again`);
    }
    return fromElements(elements, width, height, this.file, opaqueOnly);
  }

  private sizeFor(tile: Picture): Size {
    const fitting = this.file.sizes.filter(([h, w]) => tile.height <= h && tile.width <= w);
    return fitting.reduce((least, size) => (area(size) < area(least) ? size : least));
  }
}

function area([height, width]: Size): number {
  return height * width;
}
