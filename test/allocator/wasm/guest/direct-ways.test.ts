// The direct ways of malloc and free that a module goes by itself: as if the heap were asked each time, and only while no hook,
// recording or mempool hears of each call. What they do in every detail is compared by fuzz/wasm/direct-ways.ts, of which some programs run here.
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { CustomConfig } from "../../../../allocator/options/config.ts";
import { SizeClassMap } from "../../../../allocator/options/size-class-map.ts";
import type { ModuleOptions } from "../../../../allocator/wasm/guest/compile.ts";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import { silent } from "../../../../fuzz/harness/journal.ts";
import { directWays, FLIP, GIVE, STEP_PAIRS, TAKE, wentDirectly } from "../../../../fuzz/wasm/direct-ways.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";

const PAIRS = `(module (memory (export "memory") 1)
  (func $malloc (export "malloc") (param i32) (result i32) unreachable)
  (func $free (export "free") (param i32) unreachable)
  (func $realloc (param i32 i32) (result i32) unreachable)
  (func (export "shrunk") (param $size i32) (local $p i32)
    (local.set $p (call $malloc (i32.const 200)))
    (call $free (call $realloc (local.get $p) (local.get $size))))
  (func (export "pairs") (param $n i32) (result i32) (local $p i32)
    (loop $again
      (local.set $p (call $malloc (i32.const 40)))
      (i32.store (local.get $p) (local.get $n))
      (call $free (local.get $p))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $p))
  (func (export "twice") (param $n i32) (local $p i32)
    (loop $again
      (local.set $p (call $malloc (i32.const 40)))
      (call $free (local.get $p))
      (call $free (local.get $p))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "many") (param $n i32) (local $p i32) (local $last i32) (local $left i32)
    (local.set $left (local.get $n))
    (loop $again
      (local.set $p (call $malloc (i32.const 40)))
      (i32.store (local.get $p) (local.get $last))
      (local.set $last (local.get $p))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (loop $again
      (local.set $last (i32.load (local.tee $p (local.get $last))))
      (call $free (local.get $p))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`;

const made: Instance[] = [];

afterEach(() => {
  for (const { guest } of made) guest.checkInvariants();
  for (const instance of made.splice(0)) instance[Symbol.dispose]();
});

function instantiate(options: ModuleOptions = {}): Instance {
  const instance = new Instance(new Module(wat(PAIRS), { memoryBytes: 2 ** 24, ...options }));
  made.push(instance);
  return instance;
}

const call = (instance: Instance, name: string, n: number): number =>
  (instance.exports[name] as (n: number) => number)(n);

describe("a module goes the direct ways", () => {
  test.each<ModuleOptions>([
    {},
    { checks: "none" },
    { heap: { stacks: false } },
    { uninitialised: "byte" },
    { uninitialised: "byte", trackOrigins: true },
  ])("with the options %j", (options) => {
    const instance = instantiate(options);
    call(instance, "pairs", 100);
    expect(wentDirectly(instance)).toBe(true);
    expect(instance.checker.findings).toEqual([]);
  });

  test.each(STEP_PAIRS)(
    "and leaves chunks of every remainder as the host does, allocated by step %i and freed by step %i",
    (allocate, free) => {
      const sizes = [0, 1, 3, 4, 5, 8, 12, 13, 16, 100, 300, 4080];
      const steps = sizes.flatMap((size, slot) => [free, allocate].map((kind) => ({ kind, slot, size, small: 1 })));
      const given = { steps, between: [0], checks: "addresses" as const, trackOrigins: true, stacks: true };
      for (const uninitialised of ["off", "byte"] as const) directWays.run({ ...given, uninitialised }, silent);
    },
  );

  test.each(STEP_PAIRS)(
    "and frees no chunk of which a bit of the header has changed, allocated by step %i and freed by step %i",
    (allocate, free) => {
      const steps = Array.from({ length: 64 }, (_, bit) => {
        const slot = bit % 12;
        const chunk = { slot, size: 40, small: 1 };
        return [
          { ...chunk, kind: allocate },
          { kind: FLIP, slot, size: bit % 8, small: 8 + (bit >> 3) },
          { ...chunk, kind: free },
        ];
      }).flat();
      const given = {
        between: [],
        checks: "none" as const,
        uninitialised: "off" as const,
        trackOrigins: false,
        stacks: false,
      };
      directWays.run({ ...given, steps }, silent);
    },
  );

  test.each([8, 500])("and has its cache filled and emptied as the host does, of chunks of %i bytes", (size) => {
    const many = (kind: number, small: number) => ({ kind, slot: 0, size, small });
    const steps = [many(TAKE, 28), many(GIVE, 20), many(TAKE, 19), many(GIVE, 27), many(TAKE, 3), many(GIVE, 32)];
    const given = { steps, between: [7, 2, 4, 1], checks: "addresses" as const, trackOrigins: true, stacks: true };
    for (const uninitialised of ["off", "byte"] as const) directWays.run({ ...given, uninitialised }, silent);
  });

  test("and asks for no call of the heap where its cache is to be filled or emptied", () => {
    const instance = instantiate({ heap: { stacks: false } });
    call(instance, "many", 500);
    const { direct } = instance.guest;
    const [calls, refills, drains] = (["takeChanges", "refill", "drain"] as const).map((name) =>
      vi.spyOn(direct, name),
    );
    call(instance, "many", 500);
    expect(calls).not.toHaveBeenCalled();
    expect([refills, drains].map(({ mock }) => mock.results.map(({ value }) => value))).toEqual([
      [1, 1, 1],
      [1, 1, 1],
    ]);
  });

  test("and does all that the host is asked to do: programs of every heap function agree in all that can be seen", async () => {
    await fc.assert(
      fc.asyncProperty(directWays.program, async (program) => {
        await directWays.run(program, silent);
      }),
      { numRuns: directWays.inTests },
    );
  });

  test("for a chunk that was made smaller in its place, whose header has its block's class", () => {
    const instance = instantiate({ heap: { stacks: false } });
    call(instance, "pairs", 10);
    call(instance, "shrunk", 20);
    expect(wentDirectly(instance)).toBe(true);
    const before = instance.heap.stats();
    instance.guest.direct.takeChanges();
    call(instance, "pairs", 1);
    expect(instance.heap.stats()).toEqual(before);
    expect(instance.checker.findings).toEqual([]);
  });

  test("after a free that was refused, which has its finding each time", () => {
    const instance = instantiate({ invalidFree: "report" });
    call(instance, "twice", 20);
    expect(instance.checker.countErrors()).toBe(20);
    expect(instance.checker.findings.map(({ kind, cause }) => `${kind}: ${cause}`)).toEqual([
      "invalid-free: double-free",
    ]);
  });
});

describe("a module asks the heap for each block", () => {
  test("where no chunk is as small as those of the direct ways", () => {
    const large = { name: "large", sizes: [8192, 16384], maxCachedHint: 14, maxBytesCachedLog: 14 };
    const config: CustomConfig = {
      name: "large",
      primary: {
        sizeClassMap: new SizeClassMap(large),
        maxBatches: 1,
        regionSizeLog: 20,
        groupSizeLog: 20,
        contiguousRegions: false,
        mapIncrement: 2 ** 16,
        compactPointerBytes: 4,
      },
      secondaryCache: { entriesArraySize: 4, defaultMaxEntriesCount: 4, defaultMaxEntrySize: 2 ** 19 },
    };
    const instance = instantiate({ heap: { config } });
    const refills = vi.spyOn(instance.guest.direct, "refill");
    call(instance, "pairs", 100);
    expect(refills).not.toHaveBeenCalled();
    expect(wentDirectly(instance)).toBe(false);
  });

  const ways: readonly (readonly [what: string, options: ModuleOptions, prepare: (instance: Instance) => void])[] = [
    ["where a hook is given", { heap: { hooks: { deallocate: () => {} } } }, () => {}],
    ["while fresh memory is filled", {}, ({ heap }) => heap.malloc_set_pattern_fill_contents(1)],
    ["while it is recorded", {}, ({ heap }) => void heap.record({ write: () => {} })],
    ["while there is a mempool", {}, ({ checker }) => checker.createMempool(4096)],
  ];
  test.each(ways)("%s", (_what, options, prepare) => {
    const instance = instantiate(options);
    call(instance, "pairs", 10);
    prepare(instance);
    instance.guest.direct.takeChanges();
    call(instance, "pairs", 100);
    expect(wentDirectly(instance)).toBe(false);
  });
});
