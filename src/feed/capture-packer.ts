import { promisify } from "node:util";
import { constants, gzip, type ZlibOptions, type ZstdOptions, zstdCompress } from "node:zlib";
import { type BlockEntry, writeBlockHeader, writeIndex } from "./capture-block.ts";

/** What a writer knows of the text of one block. */
export interface BlockSummary {
  /** Earliest and latest local time of its entries, µs; NaN when it has none. */
  firstUs: number;
  lastUs: number;
  entries: number;
  frames: number;
}

/** How a capture file is packed: whole text blocks in, bytes to append out. One per file, blocks in their order. */
export interface CapturePacker {
  /** Compresses on the thread pool, so that the event loop is not held up. */
  pack(text: Buffer, summary: BlockSummary): Promise<PackedBlock>;
  /** What stands at the end of the file behind these blocks. */
  end(blocks: readonly BlockEntry[]): Buffer;
  readonly extension: "zst" | "gz";
}

export interface PackedBlock {
  readonly bytes: Buffer;
  readonly summary: BlockSummary;
}

const zstd: (text: Buffer, options: ZstdOptions) => Promise<Buffer> = promisify(zstdCompress);
const deflate: (text: Buffer, options: ZlibOptions) => Promise<Buffer> = promisify(gzip);
/** An eighth of the size of Binance's frames at some 30 MB/s of a slow core, many times what venues send; level 9 halves that for 8 %. */
const ZSTD_LEVEL = 6;
const GZIP_LEVEL = 4;

/** Indexed blocks, see `capture-block.ts`. */
export const zstdPacker: CapturePacker = {
  extension: "zst",
  async pack(text, summary) {
    const frame = await zstd(text, { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
    const crc = Bun.hash.crc32(frame);
    const header = writeBlockHeader({ ...summary, frameBytes: frame.length, textBytes: text.length, crc });
    return { bytes: Buffer.concat([header, frame]), summary };
  },
  end: writeIndex,
};

/** Gzip members that stand alone, which every tool reads; without CRC per block and without index. */
const gzipPacker: CapturePacker = {
  extension: "gz",
  async pack(text, summary) {
    return { bytes: await deflate(text, { level: GZIP_LEVEL }), summary };
  },
  end: () => Buffer.alloc(0),
};

/** The packing that a file's name asks for: `.gz` is gzip, everything else indexed blocks. */
export function packerFor(path: string): CapturePacker {
  return path.endsWith(".gz") ? gzipPacker : zstdPacker;
}
