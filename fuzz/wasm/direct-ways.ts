// What a module allocates and frees by itself is what the heap does when it is asked: random programs of heap calls, loads and stores
// run twice, once on a heap with a hook, which hears of each call. Memory, shadows, statistics, counters, traces and findings must agree.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { partsOf } from "../../allocator/heap/heap.ts";
import { M_DECAY_TIME } from "../../allocator/heap/mallopt.ts";
import type { LocalCache } from "../../allocator/primary/local-cache.ts";
import type { Primary } from "../../allocator/primary/primary.ts";
import type { ModuleOptions } from "../../allocator/wasm/guest/compile.ts";
import { Instance, Module } from "../../allocator/wasm/guest/functions.ts";
import { CHANGED } from "../../allocator/wasm/rewriting/heap-tables.ts";
import { ALLOCATION_BYTES, KEPT_ALLOCATIONS } from "../../allocator/wasm/rewriting/layout.ts";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { wat } from "./wat.ts";

const SLOTS = 12;
const LIMIT = 2 ** 24;
/** Where the program leaves its pointers when it ends. */
const SLOT_ADDRESS = 64;
/** A stack of pointers, for steps that allocate and free more than a cache holds. */
const STACK_ADDRESS = 4096;
const STACK_SLOTS = 1024;

/** Bodies trap: the heap takes all of them over. */
const HEAP_FUNCTIONS = `
  (type $maker (func (param i32) (result i32)))
  (table funcref (elem $malloc $_Znwm $_Znam))
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)
  (func $calloc (param i32 i32) (result i32) unreachable)
  (func $realloc (param i32 i32) (result i32) unreachable)
  (func $memalign (param i32 i32) (result i32) unreachable)
  (func $_Znwm (param i32) (result i32) unreachable)
  (func $_Znam (param i32) (result i32) unreachable)
  (func $_ZnwmSt11align_val_t (param i32 i32) (result i32) unreachable)
  (func $_ZdlPv (param i32) unreachable)
  (func $_ZdlPvm (param i32 i32) unreachable)
  (func $_ZdaPv (param i32) unreachable)
  (func $__rust_alloc (param i32 i32) (result i32) unreachable)
  (func $__rust_alloc_zeroed (param i32 i32) (result i32) unreachable)
  (func $__rust_dealloc (param i32 i32 i32) unreachable)
  (func $inner (param i32) (result i32) (call $malloc (local.get 0)))
  (func $outer (param i32) (result i32) (call $inner (local.get 0)))
  (global $top (mut i32) (i32.const 0))
  (func $take (param $n i32) (param $size i32)
    (block $done
      (loop $again
        (br_if $done (i32.or (i32.eqz (local.get $n)) (i32.ge_u (global.get $top) (i32.const ${STACK_SLOTS * 4}))))
        (i32.store offset=${STACK_ADDRESS} (global.get $top) (call $malloc (local.get $size)))
        (global.set $top (i32.add (global.get $top) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again))))
  (func $give (param $n i32)
    (block $done
      (loop $again
        (br_if $done (i32.or (i32.eqz (local.get $n)) (i32.eqz (global.get $top))))
        (global.set $top (i32.sub (global.get $top) (i32.const 4)))
        (call $free (i32.load offset=${STACK_ADDRESS} (global.get $top)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again))))`;

/** Text of a step, from its slot's number, a size and a small number. */
type Step = (slot: string, size: number, small: number) => string;

const set = (slot: string, value: string): string => `(local.set ${slot} ${value})`;
const ALIGNMENTS = [1, 8, 16, 32, 256];

const STEPS: readonly Step[] = [
  (slot, size) => set(slot, `(call $malloc (i32.const ${size}))`),
  (slot, size) => set(slot, `(call $inner (i32.const ${size}))`),
  (slot, size) => set(slot, `(call $outer (i32.const ${size}))`),
  (slot, size, small) => set(slot, `(call $calloc (i32.const ${small}) (i32.const ${size}))`),
  (slot) => set(slot, "(call $calloc (i32.const 65536) (i32.const 65537))"),
  (slot) => `(call $free (local.get ${slot}))`,
  (slot) => `(call $free (local.get ${slot})) ${set(slot, "(i32.const 0)")}`,
  (slot, size) => `(call $free (local.get ${slot})) ${set(slot, `(call $malloc (i32.const ${size}))`)}`,
  (slot, _, small) => `(call $free (i32.add (local.get ${slot}) (i32.const ${small})))`,
  (slot, size) => set(slot, `(call $realloc (local.get ${slot}) (i32.const ${size}))`),
  (slot, size, small) =>
    set(slot, `(call $memalign (i32.const ${ALIGNMENTS[small % ALIGNMENTS.length]}) (i32.const ${size}))`),
  (slot, size) => set(slot, `(call $_Znwm (i32.const ${size}))`),
  (slot, size) => set(slot, `(call $_Znam (i32.const ${size}))`),
  (slot, size, small) => set(slot, `(call $_ZnwmSt11align_val_t (i32.const ${size}) (i32.const ${1 << (small & 7)}))`),
  (slot) => `(call $_ZdlPv (local.get ${slot}))`,
  (slot, size) => `(call $_ZdlPvm (local.get ${slot}) (i32.const ${size}))`,
  (slot) => `(call $_ZdaPv (local.get ${slot}))`,
  (slot, size, small) =>
    set(slot, `(call $__rust_alloc (i32.const ${size}) (i32.const ${ALIGNMENTS[small % ALIGNMENTS.length]}))`),
  (slot, size) => set(slot, `(call $__rust_alloc_zeroed (i32.const ${size}) (i32.const 8))`),
  (slot, size) => `(call $__rust_dealloc (local.get ${slot}) (i32.const ${size}) (i32.const 8))`,
  (slot, size) => `(if (local.get ${slot}) (then (i32.store8 offset=${size} (local.get ${slot}) (i32.const 7))))`,
  (slot, size) => `(if (local.get ${slot}) (then (drop (i32.load8_u offset=${size} (local.get ${slot})))))`,
  // Damages the header, or what is in front of it.
  (slot, _, small) =>
    `(if (local.get ${slot}) (then (i32.store8 (i32.sub (local.get ${slot}) (i32.const ${1 + (small & 31)})) (i32.const 0))))`,
  // More than a cache holds, and than a refill brings.
  (_, size, small) => `(call $take (i32.const ${small * small}) (i32.const ${size & 511}))`,
  (_, size, small) => `(call $give (i32.const ${small * small + (size & 1)}))`,
  // A bit of the header, or of what is in front of it.
  (slot, size, small) => {
    const place = `(i32.sub (local.get ${slot}) (i32.const ${1 + (small & 31)}))`;
    return `(if (local.get ${slot}) (then (i32.store8 ${place} (i32.xor (i32.load8_u ${place}) (i32.const ${1 << (size & 7)})))))`;
  },
  // By one path, what is made by malloc, new, new[] or memalign in turn.
  (slot, size) =>
    set(slot, `(call_indirect (type $maker) (i32.const ${size}) (i32.rem_u (local.get $rounds) (i32.const 3)))`),
  (slot, size) =>
    set(
      slot,
      `(call $memalign (i32.shl (i32.const 4) (i32.and (local.get $rounds) (i32.const 3))) (i32.const ${size}))`,
    ),
];

/** Steps that allocate, and those that free what they allocated. */
export const STEP_PAIRS: readonly (readonly [allocate: number, free: number])[] = [
  [0, 5],
  [3, 5],
  [10, 5],
  [11, 14],
  [12, 16],
  [17, 19],
  [18, 19],
];

/** Steps that allocate, and that free, the square of a small number of chunks; one that changes a bit of a header. */
export const [TAKE, GIVE, FLIP] = [23, 24, 25];

/** What the host does between two runs. */
const HOST: readonly ((instance: Instance, round: number) => void)[] = [
  () => {},
  ({ heap }) => heap.free(heap.malloc(40)),
  ({ heap }) => void heap.releaseToOS("force-all"),
  ({ heap }, round) => {
    heap.fill = (["none", "pattern", "zero"] as const)[round % 3];
  },
  ({ heap }, round) => heap.malloc_set_track_allocation_stacks(round % 2 === 0 ? 0 : 1),
  ({ heap, exports }) => {
    const thread = heap.process.createThread();
    try {
      heap.withThread(thread, () => (exports.main as (rounds: number) => void)(2));
    } finally {
      heap.endThread(thread);
    }
  },
  ({ heap }) => {
    heap.malloc_disable();
    heap.malloc_enable();
  },
  // Pages of free blocks go back to the machine at each chance.
  ({ heap }) => heap.mallopt(M_DECAY_TIME, 0),
];

const step = fc.record({
  kind: fc.nat(STEPS.length - 1),
  slot: fc.nat(SLOTS - 1),
  size: fc.oneof(fc.nat(100), fc.nat(5000), fc.constantFrom(0, 1, 16, 4080, 4081, 40_000)),
  small: fc.nat(40),
});
const program = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 40 }),
  between: fc.array(fc.nat(HOST.length - 1), { maxLength: 4 }),
  uninitialised: fc.constantFrom("off" as const, "byte" as const),
  trackOrigins: fc.boolean(),
  checks: fc.constantFrom("addresses" as const, "none" as const),
  /** With them, the module frees by itself only where it has freed before by the same path. */
  stacks: fc.boolean(),
});

export type DirectProgram = typeof program extends fc.Arbitrary<infer T> ? T : never;

function textOf({ steps }: DirectProgram): string {
  const slots = Array.from({ length: SLOTS }, (_, slot) => `$p${slot}`);
  const body = steps.map(({ kind, slot, size, small }) => STEPS[kind](`$p${slot}`, size, small));
  const kept = slots.map((slot, i) => `(i32.store offset=${SLOT_ADDRESS + 4 * i} (i32.const 0) (local.get ${slot}))`);
  return `(module (memory (export "memory") 1) ${HEAP_FUNCTIONS}
    (func (export "main") (param $rounds i32) ${slots.map((slot) => `(local ${slot} i32)`).join(" ")}
      (loop $again ${body.join("\n")}
        (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      ${kept.join(" ")}))`;
}

/** @throws at the first difference. @returns how many states were compared */
export function runDirectWays(given: DirectProgram, journal: Journal): number {
  const text = textOf(given);
  journal.note(text);
  const bytes = wat(text);
  const { uninitialised, checks, trackOrigins, stacks } = given;
  const instances = [{}, { hooks: { allocate: () => {} } }].map((hooks) => {
    // By itself a heap gives pages back when the host's clock says so, which is not at the same call in both.
    const heap = { seed: 1, stacks, releaseToOSIntervalMs: -1, write: () => {}, ...hooks } as const;
    const more = { uninitialised, checks, trackOrigins, invalidFree: "report" } as const;
    const options = { memoryBytes: LIMIT, nullBytes: 64, ...more, heap } as const;
    return new Instance(new Module(bytes, options satisfies ModuleOptions));
  });
  try {
    for (const [round, host] of [0, ...given.between].entries()) {
      const [direct, asked] = instances.map((instance) => {
        const thrown = [
          errorOf(() => HOST[host](instance, round)),
          errorOf(() => (instance.exports.main as (rounds: number) => void)(6)),
        ];
        instance.guest.checkInvariants();
        return { thrown, ...stateOf(instance) };
      });
      strictEqual(direct.memory, asked.memory);
      deepStrictEqual(direct, asked);
    }
  } finally {
    // A heap whose headers were damaged may say so when it ends, too.
    const ends = instances.map((instance) => errorOf(() => instance[Symbol.dispose]()));
    strictEqual(ends[0], ends[1]);
  }
  return 1 + given.between.length;
}

/** What a call throws, as text: the program may end in the middle. */
function errorOf(run: () => void): string {
  try {
    run();
    return "";
  } catch (thrown) {
    return String(thrown);
  }
}

/** Whether the module has allocated or freed something by itself since the host's last call. */
export function wentDirectly({ guest }: Instance): boolean {
  return new Int32Array(guest.memory.buffer, guest.layout.pathBase + CHANGED, 1)[0] !== 0;
}

function stateOf(instance: Instance) {
  const { guest, heap, checker } = instance;
  const { layout } = guest;
  const hash = (base: number, bytes: number) =>
    base < 0 ? "" : digest(new Uint8Array(guest.memory.buffer, base, bytes));
  const blocks = partsOf(heap).allocator;
  return {
    memory: hash(0, LIMIT),
    shadow: hash(layout.shadowBase, LIMIT / 8),
    validity: hash(layout.validityBase, LIMIT),
    stored: hash(layout.storedBase, LIMIT / 8),
    origins: hash(layout.originBase, LIMIT),
    allocations: hash(layout.allocationsBase, KEPT_ALLOCATIONS * ALLOCATION_BYTES),
    traces: hash(layout.tracesBase, LIMIT / 4),
    statistics: heap.stats(),
    counters: heap.kernel.counters.snapshot(),
    findings: checker.toJSON(),
    errors: checker.countErrors(),
    leaks: checker.leakCheck({ report: [] }),
    caches: blocks.registry
      .all()
      .map(({ cache }) => ({ counts: [...cache.counts], ...cachedBlocks(blocks.primary, cache) })),
    freeLists: freeListsOf(blocks.primary),
  };
}

/** What is on the stacks of a cache. */
function cachedBlocks({ shape }: Primary, { counts, blocks }: LocalCache) {
  return {
    blocks: [...counts].map((count, classId) => [...blocks.subarray(classId * shape.stride).subarray(0, count)]),
  };
}

/** Groups of each class, with the blocks of their batches. */
function freeListsOf({ freeLists, regions, classCount }: Primary) {
  const { firstGroup, firstBatch, next, count, entries, groupId, capacity } = freeLists;
  const lists = Array.from({ length: classCount }, (_, classId) => {
    const groups: number[][] = [];
    for (let group = firstGroup[classId]; group >= 0; group = next[group]) {
      const blocks = [groupId[group]];
      for (let batch = firstBatch[group]; batch >= 0; batch = next[batch])
        blocks.push(...entries.subarray(batch * capacity, batch * capacity + count[batch]));
      groups.push(blocks);
    }
    return groups;
  });
  return { lists, popped: [...regions.popped], pushed: [...regions.pushed], ranges: [...regions.rangesReleased] };
}

/** FNV-1a over words: a difference is all that is wanted. */
function digest(bytes: Uint8Array): string {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let hash = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) hash = Math.imul(hash ^ words[i] ^ i, 0x01000193);
  return (hash >>> 0).toString(16);
}

export const directWays: Fuzzer<DirectProgram> = { program, run: runDirectWays, inTests: 8 };
