/**
 * Writes an image as PNG band by band, so that the upscaled pixels are never held whole, and no
 * canvas limits their number. Every row is filtered by Paeth's predictor, as runtime/imaging/png.py does.
 */

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const CHANNELS = 3;
const RGB = 2;
const PAETH = 4;

export class PngWriter {
  private readonly parts: BlobPart[] = [SIGNATURE];
  private readonly deflate = new CompressionStream("deflate");
  private readonly input = this.deflate.writable.getWriter();
  private readonly collected = this.collect();
  /** The last row with a zero pixel at its left. */
  private above: Uint8Array;

  constructor(
    private readonly width: number,
    height: number,
  ) {
    this.above = new Uint8Array((width + 1) * CHANNELS);
    const header = new DataView(new ArrayBuffer(13));
    header.setUint32(0, width);
    header.setUint32(4, height);
    header.setUint8(8, 8);
    header.setUint8(9, RGB);
    this.parts.push(chunk("IHDR", new Uint8Array(header.buffer)));
  }

  /** Appends rows of RGBA; alpha is left out. */
  async write(rgba: Uint8Array): Promise<void> {
    await this.input.write(this.filtered(rgba));
  }

  async close(): Promise<Blob> {
    await this.input.close();
    await this.collected;
    this.parts.push(chunk("IEND", new Uint8Array()));
    return new Blob(this.parts, { type: "image/png" });
  }

  private async collect(): Promise<void> {
    const output = this.deflate.readable.getReader();
    for (let piece; (piece = (await output.read()).value); ) this.parts.push(chunk("IDAT", piece));
  }

  /** Each row less Paeth's prediction from its left, upper and upper left neighbours. */
  private filtered(rgba: Uint8Array): Uint8Array<ArrayBuffer> {
    const length = this.width * CHANNELS;
    const rows = rgba.length / (this.width * 4);
    const result = new Uint8Array(rows * (length + 1));
    let row = new Uint8Array(length + CHANNELS);
    let above = this.above;
    for (let y = 0, from = 0, to = 0; y < rows; y++) {
      for (let x = CHANNELS; x < row.length; x += CHANNELS, from += 4) {
        row[x] = rgba[from]!;
        row[x + 1] = rgba[from + 1]!;
        row[x + 2] = rgba[from + 2]!;
      }
      result[to++] = PAETH;
      for (let x = CHANNELS; x < row.length; x++) {
        const left = row[x - CHANNELS]!;
        const up = above[x]!;
        const corner = above[x - CHANNELS]!;
        const toLeft = Math.abs(up - corner);
        const toUp = Math.abs(left - corner);
        const toCorner = Math.abs(left + up - 2 * corner);
        const nearest = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
        result[to++] = row[x]! - nearest;
      }
      [above, row] = [row, above as Uint8Array<ArrayBuffer>];
    }
    this.above = above;
    return result;
  }
}

function chunk(kind: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, checksum(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

/** Remainders of all bytes by the polynomial of CRC-32 (ISO 3309), as PNG wants them. */
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = REMAINDERS[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
