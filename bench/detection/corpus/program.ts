// What a program of the corpus is: a bug that real C and C++ code had, small, once right and once wrong. The programs are beside this
// file by theme; running them under each detector is ../detection/.
import type { Heap } from "../../../allocator/index.ts";

export type Variant = "right" | "buggy";
export type BugKind = "uninitialised" | "use-after-free" | "out-of-bounds" | "invalid-free" | "leak";

export interface CorpusProgram {
  readonly name: string;
  /** Number in MITRE's Common Weakness Enumeration. */
  readonly cwe: number;
  readonly bug: BugKind;
  /** What is wrong in the buggy variant. */
  readonly what: string;
  /** Runs it; the answer is what a test would look at. Everything is freed in the right variant. */
  run(heap: Heap, variant: Variant): number | string;
}

export function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0);
}

/** Writes to a pipe and reads what came through, as another process would see it. */
export function throughPipe(heap: Heap, address: number, length: number): string {
  const { process } = heap;
  const [reader, writer] = process.pipe2();
  process.write(writer, address, length);
  const buffer = heap.calloc(1, length);
  process.read(reader, buffer, length);
  const text = hex(heap.memory.read(buffer, length));
  heap.free(buffer);
  process.close(reader);
  process.close(writer);
  return text;
}

export function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
