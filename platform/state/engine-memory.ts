// Host memory that WebAssembly code of the library's own can reach as well as its typed arrays can. What lies in it is up to others.

import { type EngineMemory, engine } from "../host/engine.ts";
import { makeBeside } from "./beside.ts";

/** WebAssembly's pages. */
const PAGE_BYTES = 65_536;
/** The most that a memory can have: 4 GiB. */
export const ENGINE_MEMORY_LIMIT = 2 ** 32;

const IS_LITTLE_ENDIAN = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;

/** By buffer: its memory, or null where the engine refused one. */
const memories = makeBeside<ArrayBufferLike, EngineMemory | null>();

/**
 * Zeroes, `bytes` long, a multiple of 64 KiB up to {@link ENGINE_MEMORY_LIMIT}. Where the engine has no WebAssembly, or no room for such a
 * memory, they are a plain buffer: then there is no code that could reach it.
 */
export function makeEngineMemory(bytes: number): ArrayBuffer {
  const memory = askEngine(bytes / PAGE_BYTES);
  const buffer = memory?.buffer ?? new ArrayBuffer(bytes);
  memories.set(buffer, memory);
  return buffer;
}

function askEngine(pages: number): EngineMemory | null {
  // WebAssembly's words are little-endian, typed arrays' are the host's.
  if (!IS_LITTLE_ENDIAN) return null;
  try {
    return new engine.Memory({ initial: pages, maximum: pages });
  } catch {
    // For lack of WebAssembly, of room or of leave: all works without it.
    return null;
  }
}

/** Whether a buffer was made here, with or without a memory. */
export function isEngineMemory(buffer: ArrayBufferLike): boolean {
  return memories.get(buffer) !== undefined;
}

/** The memory of a buffer that was made here; null: there is none. */
export function engineMemoryOf(buffer: ArrayBufferLike): EngineMemory | null {
  return memories.get(buffer) ?? null;
}

/** Rounds up to whole pages of WebAssembly. */
export function toEnginePages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
