import { dlopen, FFIType, ptr } from "bun:ffi";

/** What a network device does to received frames, as ethtool(8) tells it. */
export interface NicSettings {
  /** Frames are merged by the kernel. */
  readonly gro: boolean;
  /** Frames are merged by the device. */
  readonly lro: boolean;
  /** Null where the device does not tell. */
  readonly adaptiveRx: boolean | null;
  /** Wait before an interrupt, µs; null where the device does not tell. */
  readonly rxDelayUs: number | null;
}

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCETHTOOL = 0x8946n;
/** `struct ifreq`: 16 bytes of name, then a pointer to the command. */
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;

/** Commands and offsets of linux/ethtool.h. */
const ETHTOOL_GCOALESCE = 0x0e;
const ETHTOOL_GFLAGS = 0x25;
const ETHTOOL_GGRO = 0x2b;
const FLAG_LRO = 1 << 15;
/** `struct ethtool_coalesce`, 23 words: `rx_coalesce_usecs` is word 1, `use_adaptive_rx_coalesce` word 11. */
const COALESCE_WORDS = 23;
const RX_USECS_AT = 1;
const ADAPTIVE_RX_AT = 11;

/** Asks the kernel by ioctl(2) without changing anything; null where it does not answer. */
export function readNic(device: string): NicSettings | null {
  if (Buffer.byteLength(device) >= NAME_BYTES) return null;
  const libc = dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  const { symbols } = libc;
  const socket = symbols.socket(AF_INET, SOCK_DGRAM, 0);
  if (socket < 0) return null;
  const request = new Uint8Array(IFREQ_BYTES);
  request.set(Buffer.from(device));
  const ask = (command: number, words: number): Uint32Array | null => {
    const answer = new Uint32Array(words);
    answer[0] = command;
    new DataView(request.buffer).setBigUint64(NAME_BYTES, BigInt(ptr(answer)), true);
    return symbols.ioctl(socket, SIOCETHTOOL, ptr(request)) === 0 ? answer : null;
  };
  try {
    const gro = ask(ETHTOOL_GGRO, 2);
    const flags = ask(ETHTOOL_GFLAGS, 2);
    if (gro === null || flags === null) return null;
    const coalesce = ask(ETHTOOL_GCOALESCE, COALESCE_WORDS);
    return {
      gro: gro[1] !== 0,
      lro: ((flags[1] ?? 0) & FLAG_LRO) !== 0,
      adaptiveRx: coalesce === null ? null : coalesce[ADAPTIVE_RX_AT] !== 0,
      rxDelayUs: coalesce?.[RX_USECS_AT] ?? null,
    };
  } finally {
    symbols.close(socket);
    libc.close();
  }
}
