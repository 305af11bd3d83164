// The heap that recordings are held against: on a machine without tags, as x86 is, with large chunks filled and moved as Scudo does.
// Also looks into simulated memory: chunk headers, large-block headers, contents.
import { Heap } from "../../../allocator/index.ts";
import { createKernel, type Memory, type Process } from "../../../refpage/index.ts";

/** The C++ runtime of the recorded program allocates one chunk of this size before anything else; so do we. */
const RUNTIME_CHUNK_BYTES = 72704;
/** A thousand seconds: late enough that a first page release is never held back by an interval (S9.2). It stands still. */
const CLOCK_NANOSECONDS = 1e12;
const MEMORY_BYTES = 2 ** 30;

export interface Subject {
  readonly heap: Heap;
  readonly process: Process;
  readonly memory: Memory;
  /** What the heap wrote to file descriptor 2 so far. */
  readonly written: () => string;
}

/** A fresh process with a heap that has these options, as the recorded program is when `main` begins. `seed`: its luck. */
export function createSubject(options: unknown, seed = 20): Subject {
  const kernel = createKernel({ memoryBytes: MEMORY_BYTES, mte: false }, { clock: () => CLOCK_NANOSECONDS });
  const process = kernel.createProcess({ name: "recorded" });
  let text = "";
  const heap = new Heap({
    process,
    scudoOptions: typeof options === "string" ? options : "",
    unknownOptions: "warn",
    largeFill: "scudo",
    largeRealloc: "copy",
    seed,
    write: (written) => {
      text += written;
    },
  });
  heap.malloc(RUNTIME_CHUNK_BYTES);
  return { heap, process, memory: process.memory, written: () => text };
}

export interface ChunkFields {
  readonly classId: number;
  readonly state: number;
  readonly origin: number;
  /** Size of a primary chunk, unused bytes of a secondary one. */
  readonly sizeOrUnused: number;
  readonly offset: number;
  readonly blockBegin: number;
}

/** The chunk header's fields, read from memory as any program could (S1.1). */
export function chunkFields(memory: Memory, pointer: number): ChunkFields {
  const low = memory.getUint32(pointer - 16);
  const offset = memory.getUint16(pointer - 12);
  return {
    classId: low & 0xff,
    state: (low >>> 8) & 3,
    origin: (low >>> 10) & 3,
    sizeOrUnused: low >>> 12,
    offset,
    blockBegin: pointer - 16 - offset * 16,
  };
}

/** The words of a large-block header that the recordings know (S11.2). */
export interface LargeFields {
  readonly commitBase: number;
  readonly commitSize: number;
  readonly mapBase: number;
  readonly mapCapacity: number;
}

export function largeFields(memory: Memory, pointer: number): LargeFields {
  const header = chunkFields(memory, pointer).blockBegin - 48;
  const word = (index: number): number => Number(memory.getBigUint64(header + 8 * index));
  return { commitBase: word(2), commitSize: word(3), mapBase: word(4), mapCapacity: word(5) };
}

/** A byte as two hexadecimal digits. */
export function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** The value that every byte has, or "mixed"; `none` for no bytes. */
export function contentsOf(memory: Memory, address: number, length: number, none = "mixed"): string {
  if (length === 0) return none;
  const first = memory.getUint8(address);
  const bytes = memory.read(address, length);
  return Buffer.compare(bytes, new Uint8Array(length).fill(first)) === 0 ? hexByte(first) : "mixed";
}

/** Addresses as the recordings mask them. */
export function maskAddresses(text: string): string {
  return text.replace(/0x[0-9a-f]+/g, "0xADDR").replace(/@ \S+:\d+ /g, "@ FILE:LINE ");
}
