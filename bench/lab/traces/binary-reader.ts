// T5, reading: blocks are gathered from chunks, checked, and unpacked into a batch. Either byte order is read.
// Writing and the layout are in allocator/record/.
import { crc32 } from "node:zlib";
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
  MAX_LABEL_BYTES,
  MAX_WIDTHS,
  VERSION,
} from "../../../allocator/record/binary-layout.ts";
import { EVENT_WORDS, EventBatch, MARK, MAX_BLOCK_ID } from "../../../allocator/record/events.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { ReadOptions } from "./lines.ts";
import { TraceError } from "./trace-error.ts";

/** Reads a binary trace; the "line" of an error is the block's number, from 1. */
export async function* readBinary(chunks: AsyncIterable<Uint8Array>, options: ReadOptions): AsyncGenerator<EventBatch> {
  const { tally, file } = options;
  const queue = new ByteQueue(chunks);
  const fail = (expected: string, found: string): never => {
    throw new TraceError(`${file} (binary, byte ${queue.consumed})`, 0, expected, found);
  };
  const head = (await queue.take(HEAD_BYTES)) ?? fail(`a head of ${HEAD_BYTES} bytes`, "the end of the file");
  const little = checkHead(head, fail);
  const batch = new EventBatch();
  for (;;) {
    const blockHead = (await queue.take(BLOCK_HEAD_BYTES)) ?? missing(options, fail);
    if (blockHead === null) return;
    const payloadBytes = payloadLength(blockHead, little);
    // Without a length there is no next block to go on with, so even skipBad stops here.
    if (payloadBytes < 0) fail("a block's head", "impossible row, label or column counts");
    const payload = (await queue.take(payloadBytes)) ?? missing(options, fail);
    if (payload === null) return;
    tally.lines++;
    const block = new Uint8Array(BLOCK_HEAD_BYTES + payloadBytes);
    block.set(blockHead);
    block.set(payload, BLOCK_HEAD_BYTES);
    const wrong = unpack(block, little, batch);
    if (wrong !== "") {
      if (!options.skipBad) fail(`block ${tally.lines} as it was written`, wrong);
      if (tally.skipped++ === 0) tally.firstSkipped = `${file}: block ${tally.lines}: ${wrong}`;
    } else if (isEnd(block, little)) {
      return checkEnd(block, little, options, fail);
    } else {
      tally.events += batch.count;
      yield batch;
    }
    batch.clear();
  }
}

type Fail = (expected: string, found: string) => never;

/** The file ends before its end block: an error, or with skipBad one thing passed over. */
function missing({ tally, file, skipBad }: ReadOptions, fail: Fail): null {
  if (!skipBad) fail("the next block or the end block", "the end of the file: the trace is cut short");
  if (tally.skipped++ === 0) tally.firstSkipped = `${file}: the trace is cut short`;
  return null;
}

/** True if the file is little-endian. */
function checkHead(head: Uint8Array, fail: Fail): boolean {
  const view = viewOf(head);
  if (!MAGIC.every((byte, index) => head[index] === byte)) fail("a trace's magic bytes", "others");
  const little = view.getUint16(HEAD.order, true) === BYTE_ORDER_MARK;
  if (!little && view.getUint16(HEAD.order, false) !== BYTE_ORDER_MARK) fail("a byte order mark", "another value");
  const version = view.getUint16(HEAD.version, little);
  if (version !== VERSION) fail(`version ${VERSION}`, `version ${version}`);
  const checksum = view.getUint32(HEAD.checksum, little);
  if (checksum !== crc32(head.subarray(0, HEAD.checksum))) fail("the head as it was written", "a wrong checksum");
  return little;
}

/** Bytes after a block's head; −1 if the head is impossible. */
export function payloadLength(head: Uint8Array, little: boolean): number {
  const view = viewOf(head);
  const rows = view.getUint32(BLOCK.rows, little);
  const labelBytes = view.getUint32(BLOCK.labelBytes, little);
  if (rows === 0) return END_PAYLOAD_BYTES;
  if (rows > MAX_BLOCK_ROWS || labelBytes > MAX_LABEL_BYTES) return -1;
  let bytes = labelBytes;
  for (let column = 0; column < COLUMNS.length; column++) {
    const width = head[BLOCK.widths + column];
    if (![0, 1, 2, 4, 8].includes(width) || width > MAX_WIDTHS[column]) return -1;
    bytes += width * rows;
  }
  return bytes;
}

/** Checks a block and fills the batch; "" or what is wrong. */
function unpack(block: Uint8Array, little: boolean, batch: EventBatch): string {
  const view = viewOf(block);
  if (view.getUint32(BLOCK.checksum, little) !== blockChecksum(block)) return "a wrong checksum";
  const rows = view.getUint32(BLOCK.rows, little);
  let position = BLOCK_HEAD_BYTES;
  for (let index = 0; index < COLUMNS.length; index++) {
    const width = block[BLOCK.widths + index];
    getColumn(view, position, batch[COLUMNS[index]], rows, width, little);
    position += width * rows;
  }
  if (rows > 0 && !parseLabels(block, position, batch.labels)) return "labels that are no JSON array of strings";
  batch.count = rows;
  return checkRows(batch);
}

type Column = Uint8Array | Uint32Array | Float64Array;

function getColumn(
  view: DataView,
  position: number,
  column: Column,
  rows: number,
  width: number,
  little: boolean,
): void {
  if (width === 0) column.fill(0, 0, rows);
  else if (width === 1) for (let row = 0; row < rows; row++) column[row] = view.getUint8(position + row);
  else if (width === 2) for (let row = 0; row < rows; row++) column[row] = view.getUint16(position + 2 * row, little);
  else if (width === 4) for (let row = 0; row < rows; row++) column[row] = view.getUint32(position + 4 * row, little);
  else for (let row = 0; row < rows; row++) column[row] = view.getFloat64(position + 8 * row, little);
}

function parseLabels(block: Uint8Array, position: number, labels: string[]): boolean {
  if (position === block.length) return true;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(block.subarray(position)).toString("utf8"));
    if (!Array.isArray(parsed) || !parsed.every((label) => typeof label === "string")) return false;
    for (const label of parsed) labels.push(label);
    return true;
  } catch {
    return false;
  }
}

/** A checksum says that the bytes arrived, not that their writer was sound. */
function checkRows(batch: EventBatch): string {
  for (let row = 0; row < batch.count; row++) {
    const size = batch.size[row];
    const offset = batch.offset[row];
    if (batch.kind[row] >= EVENT_WORDS.length) return `kind ${batch.kind[row]} in row ${row}`;
    if (batch.id[row] > MAX_BLOCK_ID) return `block id ${batch.id[row]} in row ${row}`;
    if (!isCount(size) || !isCount(offset)) return `size ${size}, offset ${offset} in row ${row}`;
    if (batch.kind[row] === MARK && size >= batch.labels.length) return `a mark without a label in row ${row}`;
  }
  return "";
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** CRC-32 of a whole block but for the checksum itself; zlib's, which is quicker than the writer's own. */
function blockChecksum(block: Uint8Array): number {
  return crc32(block.subarray(BLOCK_HEAD_BYTES), crc32(block.subarray(0, BLOCK.checksum)));
}

function isEnd(block: Uint8Array, little: boolean): boolean {
  return viewOf(block).getUint32(BLOCK.rows, little) === 0;
}

function checkEnd(block: Uint8Array, little: boolean, { tally, skipBad }: ReadOptions, fail: Fail): void {
  const events = viewOf(block).getFloat64(BLOCK_HEAD_BYTES, little);
  if (events !== tally.events && !skipBad) fail(`${events} events, as the end block says`, `${tally.events}`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
