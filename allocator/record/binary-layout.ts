// T5: the layout of our binary format, shared by its reader and writer: head, blocks of columns, end block.
// Prose and a worked example in docs/traces.md.

/** Like PNG's: a byte with the top bit set, the name, and line ends that a text-mode copy would change. */
export const MAGIC = Uint8Array.of(0x89, 0x52, 0x48, 0x54, 0x0d, 0x0a, 0x1a, 0x0a);
export const VERSION = 1;
/** As a 16-bit number in the writer's byte order; a reader of the other order sees 0x0201. */
export const BYTE_ORDER_MARK = 0x0102;

/** Head: magic (8), byte order mark (2), version (2), 0 (4), events (8), block ids (8), CRC-32 of all that (4), 0 (4). */
export const HEAD_BYTES = 40;
export const HEAD = { order: 8, version: 10, events: 16, ids: 24, checksum: 32 } as const;
/** Written where a count is not known while writing to a pipe. */
export const UNKNOWN_COUNT = -1;

/** Block head: rows (4), bytes of labels (4), widths of the five columns (5), 0 (3), CRC-32 of the other 16 bytes and the payload (4). */
export const BLOCK_HEAD_BYTES = 20;
export const BLOCK = { rows: 0, labelBytes: 4, widths: 8, checksum: 16 } as const;
/** Rows of a block: from 1 to this; 0 marks the end block, whose payload is the number of events (8). */
export const MAX_BLOCK_ROWS = 8192;
export const MAX_LABEL_BYTES = 2 ** 24;
export const END_PAYLOAD_BYTES = 8;

export const COLUMNS = ["kind", "thread", "id", "size", "offset"] as const;
/** Bytes of an entry: 0 (all are 0), 1, 2, 4 (unsigned integers) or 8 (a double that holds a whole number). */
export type Width = 0 | 1 | 2 | 4 | 8;
/** The widest that each column may be. */
export const MAX_WIDTHS: readonly number[] = [1, 4, 4, 8, 8];
