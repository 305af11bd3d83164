// The same heap program, as text, on this heap, the real Scudo and the C library: what a program may rely on must be the same. Where a
// real heap is not at hand it is left out, with the reason printed.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { Heap } from "../../allocator/heap/heap.ts";
import { compileForHeaps, type NativePrograms } from "../../bench/harness/native-heaps.ts";
import { Machine } from "../../platform/hardware/machine.ts";
import { createKernel } from "../../refpage/kernel.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";

/** C sources are not built: they lie beside this file, or, seen from dist/, in the project's own folder. */
const source = ["driver.c", "../../../fuzz/scudo/driver.c"]
  .map((place) => fileURLToPath(new URL(place, import.meta.url)))
  .find((file) => existsSync(file));
let natives: NativePrograms | undefined;

/** The real heaps that are here; prints once why others are not. */
function realHeaps(): NativePrograms {
  if (natives !== undefined) return natives;
  natives = compileForHeaps(source ?? "fuzz/scudo/driver.c");
  for (const reason of natives.reasons) console.log(`not compared: ${reason}`);
  process.on("exit", natives.remove);
  return natives;
}

interface Call {
  readonly kind: "malloc" | "calloc" | "memalign" | "realloc" | "free";
  readonly size: number;
  readonly count: number;
  readonly log: number;
  readonly pick: number;
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 600 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 70_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 60_000, max: 700_000 }) },
);

const call: fc.Arbitrary<Call> = fc.record({
  kind: fc.constantFrom("malloc", "malloc", "malloc", "calloc", "memalign", "realloc", "realloc", "free", "free"),
  size,
  count: fc.integer({ min: 1, max: 4 }),
  log: fc.integer({ min: 4, max: 14 }),
  pick: fc.nat(),
});

/** Most chunks that live together: the driver's. */
const MOST = 64;

/** The program's lines; chunks have numbers, and only live ones are freed or resized. */
function textOf(calls: readonly Call[]): string[] {
  const live: number[] = [];
  const lines: string[] = [];
  for (const { kind, size: bytes, count, log, pick } of calls) {
    if (kind === "free" || kind === "realloc") {
      if (live.length === 0) continue;
      const at = pick % live.length;
      lines.push(kind === "free" ? `f ${live[at]}` : `r ${live[at]} ${bytes}`);
      if (kind === "free") live.splice(at, 1);
      continue;
    }
    const number = Array.from({ length: MOST }, (_, index) => index).find((index) => !live.includes(index));
    if (number === undefined) continue;
    live.push(number);
    if (kind === "malloc") lines.push(`m ${number} ${bytes}`);
    else if (kind === "calloc") lines.push(`c ${number} ${count} ${bytes}`);
    else lines.push(`a ${number} ${2 ** log} ${bytes}`);
  }
  return lines;
}

interface Block {
  pointer: number;
  size: number;
}

/** driver.c's words for what this heap does. */
class Driver {
  readonly answers: string[] = [];
  private readonly blocks = new Map<number, Block>();
  private readonly heap: Heap;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  run(line: string): void {
    const [kind, number, a, b] = line.split(" ").map((word, index) => (index === 0 ? word : Number(word))) as [
      string,
      number,
      number,
      number,
    ];
    const { heap } = this;
    if (kind === "m") this.adopt(number, heap.malloc(a), a, 16);
    else if (kind === "a") this.adopt(number, heap.memalign(a, b), b, a);
    else if (kind === "c") {
      const pointer = heap.calloc(a, b);
      const isZero = pointer === 0 || heap.memory.read(pointer, a * b).every((byte) => byte === 0);
      this.answers.push(`zero ${Number(isZero)}`);
      this.adopt(number, pointer, a * b, 16);
    } else if (kind === "r") this.resize(number, a);
    else {
      const block = this.blocks.get(number) as Block;
      this.answers.push(`kept ${Number(this.isKept(number, block, block.size))}`);
      heap.free(block.pointer);
      this.blocks.delete(number);
    }
  }

  private resize(number: number, bytes: number): void {
    const block = this.blocks.get(number) as Block;
    const pointer = this.heap.realloc(block.pointer, bytes);
    if (pointer === 0) {
      this.answers.push(`null ${Number(this.isKept(number, block, block.size))}`);
      return;
    }
    const moved = { pointer, size: block.size };
    this.answers.push(`kept ${Number(this.isKept(number, moved, Math.min(block.size, bytes)))}`);
    this.adopt(number, pointer, bytes, 16);
  }

  private adopt(number: number, pointer: number, bytes: number, align: number): void {
    if (pointer === 0) {
      this.answers.push("null");
      return;
    }
    this.blocks.delete(number);
    const isApart = [...this.blocks.values()].every(
      (other) => pointer + bytes <= other.pointer || other.pointer + other.size <= pointer,
    );
    const isUsable = this.heap.malloc_usable_size(pointer) >= bytes;
    this.answers.push(`ok ${Number(pointer % align === 0)} ${Number(isUsable)} ${Number(isApart)}`);
    this.blocks.set(number, { pointer, size: bytes });
    for (const at of places(bytes, bytes)) this.heap.memory.setUint8(pointer + at, mark(number, at));
  }

  private isKept(number: number, { pointer, size: bytes }: Block, length: number): boolean {
    return places(bytes, length).every((at) => this.heap.memory.getUint8(pointer + at) === mark(number, at));
  }
}

function mark(number: number, at: number): number {
  return (number * 31 + at * 7 + 1) & 0xff;
}

/** What driver.c writes and looks at of a block: every byte of a small one, every 509th of another. */
function places(bytes: number, length: number): number[] {
  const step = bytes > 4096 ? 509 : 1;
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => index * step);
}

let machine: Machine | undefined;

function runDifferential(calls: Call[], journal: Journal): number {
  const lines = textOf(calls);
  for (const line of lines) journal.note(line);
  machine ??= new Machine({ memoryBytes: 2 ** 27, mte: false });
  const kernel = createKernel(machine);
  const driver = new Driver(new Heap({ kernel, seed: 1, write: () => {} }));
  for (const line of lines) driver.run(line);
  kernel.shutDown();
  const want = driver.answers.join("\n");
  for (const { heap, file, environment } of realHeaps().programs) {
    const got = execFileSync(file, { input: `${lines.join("\n")}\n`, env: environment, encoding: "utf8" }).trim();
    if (got === want) continue;
    const rows = got.split("\n");
    const at = rows.findIndex((row, index) => row !== driver.answers[index]);
    throw new Error(`answer ${at + 1}: real ${heap} says "${rows[at]}", this heap "${driver.answers[at]}"`);
  }
  return lines.length * realHeaps().programs.length;
}

export const realScudo: Fuzzer<Call[]> = {
  program: fc.array(call, { minLength: 5, maxLength: 150 }),
  run: runDifferential,
  inTests: 10,
};
