// T5, writing: a head, batches as blocks of columns each as narrow as its largest value allows, an end block.
// Reading is the laboratory's (bench/lab/traces/binary-reader.ts), the layout in binary-layout.ts.
import {
  BLOCK,
  BLOCK_HEAD_BYTES,
  BYTE_ORDER_MARK,
  COLUMNS,
  END_PAYLOAD_BYTES,
  HEAD,
  HEAD_BYTES,
  MAGIC,
  MAX_BLOCK_ROWS,
  UNKNOWN_COUNT,
  VERSION,
  type Width,
} from "./binary-layout.ts";
import { crc32 } from "./crc32.ts";
import { type EventBatch, MARK, THREAD_END, THREAD_START } from "./events.ts";

const utf8 = new TextEncoder();

export interface TraceCounts {
  events: number;
  /** Largest block id plus one. */
  ids: number;
}

/** The file's first bytes; without counts it says that they are unknown. */
export function encodeHead(counts: TraceCounts = { events: UNKNOWN_COUNT, ids: UNKNOWN_COUNT }): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint16(HEAD.order, BYTE_ORDER_MARK, true);
  view.setUint16(HEAD.version, VERSION, true);
  view.setFloat64(HEAD.events, counts.events, true);
  view.setFloat64(HEAD.ids, counts.ids, true);
  view.setUint32(HEAD.checksum, crc32(bytes.subarray(0, HEAD.checksum)), true);
  return bytes;
}

/** The batch as one block, or more where a batch has more rows than a block may have. */
export function encodeBatch(batch: EventBatch): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let start = 0; start < batch.count; start += MAX_BLOCK_ROWS) {
    const end = Math.min(batch.count, start + MAX_BLOCK_ROWS);
    blocks.push(encodeRows(batch, start, end, start === 0 ? batch.labels : []));
  }
  return blocks;
}

/** The block that says that the trace is whole. */
export function encodeEnd(events: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_HEAD_BYTES + END_PAYLOAD_BYTES);
  new DataView(bytes.buffer).setFloat64(BLOCK_HEAD_BYTES, events, true);
  return sealed(bytes);
}

function encodeRows(batch: EventBatch, start: number, end: number, labels: readonly string[]): Uint8Array {
  const columns = COLUMNS.map((name) => batch[name].subarray(start, end));
  const widths = columns.map(widthFor);
  // JSON keeps what UTF-8 would lose: half a surrogate pair, a NUL.
  const labelBytes = labels.length > 0 ? utf8.encode(JSON.stringify(labels)) : new Uint8Array(0);
  const columnBytes = widths.reduce((sum: number, width) => sum + width * (end - start), 0);
  const bytes = new Uint8Array(BLOCK_HEAD_BYTES + columnBytes + labelBytes.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(BLOCK.rows, end - start, true);
  view.setUint32(BLOCK.labelBytes, labelBytes.length, true);
  let position = BLOCK_HEAD_BYTES;
  for (let index = 0; index < columns.length; index++) {
    const width = widths[index];
    view.setUint8(BLOCK.widths + index, width);
    putColumn(view, position, columns[index], width);
    position += width * (end - start);
  }
  bytes.set(labelBytes, position);
  return sealed(bytes);
}

type Column = Uint8Array | Uint32Array | Float64Array;

function widthFor(column: Column): Width {
  let largest = 0;
  for (let row = 0; row < column.length; row++) {
    if (column[row] > largest) largest = column[row];
  }
  if (largest === 0) return 0;
  if (largest < 2 ** 8) return 1;
  if (largest < 2 ** 16) return 2;
  return largest < 2 ** 32 ? 4 : 8;
}

function putColumn(view: DataView, position: number, column: Column, width: Width): void {
  const { length } = column;
  if (width === 1) for (let row = 0; row < length; row++) view.setUint8(position + row, column[row]);
  else if (width === 2) for (let row = 0; row < length; row++) view.setUint16(position + 2 * row, column[row], true);
  else if (width === 4) for (let row = 0; row < length; row++) view.setUint32(position + 4 * row, column[row], true);
  else if (width === 8) for (let row = 0; row < length; row++) view.setFloat64(position + 8 * row, column[row], true);
}

function sealed(block: Uint8Array<ArrayBuffer>): Uint8Array {
  new DataView(block.buffer).setUint32(BLOCK.checksum, blockChecksum(block), true);
  return block;
}

/** CRC-32 of a whole block but for the checksum itself. */
function blockChecksum(block: Uint8Array): number {
  return crc32(block.subarray(BLOCK_HEAD_BYTES), crc32(block.subarray(0, BLOCK.checksum)));
}

/** Largest block id of the batch plus one. */
export function idCount(batch: EventBatch): number {
  let count = 0;
  for (let row = 0; row < batch.count; row++) {
    const kind = batch.kind[row];
    if (kind !== MARK && kind !== THREAD_START && kind !== THREAD_END && batch.id[row] >= count) {
      count = batch.id[row] + 1;
    }
  }
  return count;
}
