// Level "byte" against a plain model, a Map from address to defined or not, over random programs: after each step every
// byte of every live chunk has the model's mark, and nothing was reported.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "../../../allocator/index.ts";
import "../../seed.ts";

const OPERATIONS = [
  ...(["malloc", "calloc", "free", "realloc", "store", "copy", "read(2)", "process_vm_writev"] as const),
  ...(["makeDefined", "makeUndefined", "setValidityBits", "fork"] as const),
];
const sizes = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 200 }), weight: 6 },
  fc.integer({ min: 4000, max: 9000 }),
  fc.constantFrom(140_000, 300_000),
);
const step = fc.record({
  operation: fc.constantFrom(...OPERATIONS),
  size: sizes,
  chunk: fc.nat(),
  other: fc.nat(),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Model {
  readonly heap = new Heap({ uninitialised: "byte", memoryBytes: 64 * 2 ** 20, seed: 1 });
  readonly chunks: { pointer: number; size: number }[] = [];
  readonly defined = new Map<number, boolean>();
  private readonly pipe = this.heap.process.pipe2();
  private readonly source = this.heap.calloc(1, 4096);

  mark(address: number, length: number, isDefined: boolean): void {
    for (let at = address; at < address + length; at++) this.defined.set(at, isDefined);
  }

  private add(pointer: number, size: number, isDefined: boolean): void {
    this.chunks.push({ pointer, size });
    this.mark(pointer, size, isDefined);
  }

  run(given: Step): void {
    const { heap } = this;
    if (given.operation === "malloc") this.add(heap.malloc(given.size), given.size, false);
    else if (given.operation === "calloc") this.add(heap.calloc(1, given.size), given.size, true);
    else if (this.chunks.length > 0) this.change(given);
  }

  private change({ operation, size, chunk, other, at }: Step): void {
    const { heap } = this;
    const { memory, process, checker } = heap;
    const index = chunk % this.chunks.length;
    const old = this.chunks[index];
    const from = old.pointer + Math.floor(at * (old.size - 1));
    const length = Math.min(size, old.pointer + old.size - from);
    const short = Math.min(length, 4096);
    const remote = this.chunks[other % this.chunks.length];
    if (operation === "free") {
      heap.free(old.pointer);
      this.chunks.splice(index, 1);
    } else if (operation === "realloc") {
      const marks = Array.from({ length: size }, (_, i) => i < old.size && this.defined.get(old.pointer + i) === true);
      old.pointer = heap.realloc(old.pointer, size);
      old.size = size;
      for (const [i, isDefined] of marks.entries()) this.defined.set(old.pointer + i, isDefined);
    } else if (operation === "store") {
      memory.fill(from, 1, length);
      this.mark(from, length, true);
    } else if (operation === "copy") {
      const bytes = Math.min(length, remote.size);
      const marks = Array.from({ length: bytes }, (_, i) => this.defined.get(remote.pointer + i) === true);
      memory.copy(from, remote.pointer, bytes);
      for (const [i, isDefined] of marks.entries()) this.defined.set(from + i, isDefined);
    } else if (operation === "read(2)") {
      process.write(this.pipe[1], this.source, short);
      process.read(this.pipe[0], from, short);
      this.mark(from, short, true);
    } else if (operation === "process_vm_writev") {
      process.process_vm_writev(process.pid, [[this.source, short]], [[from, short]]);
      this.mark(from, short, true);
    } else if (operation === "makeDefined" || operation === "makeUndefined") {
      checker[operation](from, length);
      this.mark(from, length, operation === "makeDefined");
    } else if (operation === "setValidityBits") {
      checker.setValidityBits(
        from,
        Uint8Array.from({ length: short }, (_, i) => i % 2),
      );
      for (let i = 0; i < short; i++) this.defined.set(from + i, i % 2 === 0);
    } else if (operation === "fork") {
      const child = process.fork();
      child.memory.fill(from, 2, length); // the parent's marks stay
      child.exit(0);
    }
  }

  check(): void {
    for (const { pointer, size } of this.chunks) {
      const bits = this.heap.checker.getValidityBits(pointer, size);
      const bad = bits.findIndex((bit, i) => (bit === 0) !== this.defined.get(pointer + i));
      if (bad >= 0) throw new Error(`byte ${bad} of ${size} is ${bits[bad] === 0 ? "defined" : "undefined"}`);
    }
    expect(this.heap.checker.findings).toEqual([]);
  }
}

test("marks are the model's after any program", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const model = new Model();
      for (const given of steps) model.run(given);
      model.check();
    }),
    { numRuns: 40 },
  );
});
