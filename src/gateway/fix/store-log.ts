/** Kinds of record in a session's log. Numbers are little-endian doubles, so that they reach as far as sequence numbers do. */
export const STORE_RECORD = {
  /** Outgoing numbers below this one may have been used. */
  outgoingReserved: 1,
  /** Orderly close: the next outgoing number is exactly this. */
  outgoingExact: 2,
  /** Incoming messages below this number have been handled. */
  incoming: 3,
  /** A sent message kept for resending: number, sending time in µs, bytes. */
  message: 4,
  /** When both sequences last began at 1, in µs since the epoch. */
  started: 5,
  /** Version of the log; first, from version 2 on. */
  version: 6,
} as const;

/** 1 was without a record of it. */
export const STORE_VERSION = 2;

const MAGIC = 0xf5;
/** Magic, kind, length of the payload (u32). */
const HEAD_BYTES = 6;
const CRC_BYTES = 4;
const MAX_PAYLOAD_BYTES = 1 << 24;

/** Length of a record with a payload of this many bytes. */
export function recordBytes(payloadBytes: number): number {
  return HEAD_BYTES + payloadBytes + CRC_BYTES;
}

/** Where the payload is to be written before {@link sealRecord}. */
export const PAYLOAD_AT = HEAD_BYTES;

/** Writes the head and the checksum around a payload that lies at {@link PAYLOAD_AT}. @returns the record's length. */
export function sealRecord(bytes: Uint8Array, kind: number, payloadBytes: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  bytes[0] = MAGIC;
  bytes[1] = kind;
  view.setUint32(2, payloadBytes, true);
  view.setUint32(
    HEAD_BYTES + payloadBytes,
    Bun.hash.crc32(bytes.subarray(0, HEAD_BYTES + payloadBytes)),
    true,
  );
  return recordBytes(payloadBytes);
}

/** What reading a log found. */
export interface LogScan {
  records: number;
  /** Bytes that belong to no valid record: a torn tail, or damage further up. */
  skippedBytes: number;
}

/**
 * Reads every record whose checksum holds. Behind damage it goes on at the next valid record, so that a number written later
 * is not lost with it.
 */
export function scanLog(
  bytes: Uint8Array,
  onRecord: (kind: number, payload: Uint8Array, view: DataView) => void,
): LogScan {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const scan: LogScan = { records: 0, skippedBytes: 0 };
  let at = 0;
  while (at < bytes.length) {
    const length = validRecord(bytes, view, at);
    if (length === 0) {
      at += 1;
      scan.skippedBytes += 1;
      continue;
    }
    const payloadBytes = length - HEAD_BYTES - CRC_BYTES;
    const payload = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + payloadBytes);
    onRecord(bytes[at + 1], payload, new DataView(payload.buffer, payload.byteOffset, payload.byteLength));
    scan.records += 1;
    at += length;
  }
  return scan;
}

/** @returns the length of the valid record that begins here, 0 when there is none. */
function validRecord(bytes: Uint8Array, view: DataView, at: number): number {
  if (bytes[at] !== MAGIC || at + HEAD_BYTES + CRC_BYTES > bytes.length) return 0;
  const kind = bytes[at + 1];
  const payloadBytes = view.getUint32(at + 2, true);
  if (payloadBytes > MAX_PAYLOAD_BYTES || at + recordBytes(payloadBytes) > bytes.length) return 0;
  const plausible =
    kind === STORE_RECORD.message ? payloadBytes >= 16 : kind >= 1 && kind <= 6 && payloadBytes === 8;
  if (!plausible) return 0;
  const end = at + HEAD_BYTES + payloadBytes;
  return Bun.hash.crc32(bytes.subarray(at, end)) === view.getUint32(end, true)
    ? recordBytes(payloadBytes)
    : 0;
}
