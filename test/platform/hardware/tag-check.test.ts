// Tag checks of ordinary loads and stores: modes, TCO, borders of granules and pages.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadBytes, storeBytes } from "../../../platform/hardware/access.ts";
import { SegmentationFault } from "../../../platform/hardware/faults.ts";
import type { Memory } from "../../../platform/hardware/memory.ts";
import * as mte from "../../../platform/hardware/mte.ts";
import {
  TAG_CHECK_ASYMM,
  TAG_CHECK_ASYNC,
  TAG_CHECK_NONE,
  TAG_CHECK_SYNC,
} from "../../../platform/hardware/tag-check.ts";
import { tagAndZeroRange, tagRange } from "../../../platform/hardware/tag-store.ts";
import { withTag } from "../../../platform/hardware/tags.ts";
import { BASE, bareThread, RW, RW_MTE } from "./bare-thread.ts";

/** Two PROT_MTE pages and a plain one; the granule at BASE + 4096 has tag 3, the others 0. */
function prepared(): Memory {
  const { memory } = bareThread([RW_MTE, RW_MTE, RW]);
  mte.stg(memory, BASE + 4096, withTag(0, 3));
  return memory;
}

describe("sync", () => {
  test("a store that fails in its second granule has changed nothing", () => {
    const memory = prepared();
    memory.tagCheckMode = TAG_CHECK_SYNC;
    const store = (): void => storeBytes(memory, BASE + 4091, new Uint8Array(11).fill(0xff));
    expect(store).toThrow(
      expect.objectContaining({ code: "SEGV_MTESERR", address: BASE + 4096, access: "store", tag: 0 }),
    );
    expect(() => memory.setFloat64(BASE + 4090, 1)).toThrow(SegmentationFault);
    memory.tco = true;
    expect(memory.compare(BASE + 4080, BASE, 32)).toBe(0);
  });

  test("the address of a fault is the access's own if its first granule differs", () => {
    const memory = prepared();
    memory.tagCheckMode = TAG_CHECK_SYNC;
    expect(() => memory.getUint32(withTag(BASE + 4093, 3))).toThrow(
      expect.objectContaining({ address: BASE + 4093, tag: 3 }),
    );
    expect(() => memory.getUint32(withTag(BASE + 4110, 3))).toThrow(expect.objectContaining({ address: BASE + 4112 }));
  });

  test("memory without PROT_MTE takes any tag", () => {
    const memory = prepared();
    memory.tagCheckMode = TAG_CHECK_SYNC;
    memory.setUint32(withTag(BASE + 8192 + 2, 12), 99);
    expect(memory.getUint32(withTag(BASE + 8192 + 2, 4))).toBe(99);
  });

  test("a fill stops at the first granule that differs, like a loop", () => {
    const memory = prepared();
    memory.tagCheckMode = TAG_CHECK_SYNC;
    tagRange(memory, withTag(BASE + 160, 1), 16);
    expect(() => memory.fill(BASE + 100, 7, 100)).toThrow(expect.objectContaining({ address: BASE + 160 }));
    expect([...memory.read(BASE + 99, 61)]).toEqual([0, ...Array(60).fill(7)]);
    expect(() => memory.write(BASE + 100, new Uint8Array(100))).toThrow(SegmentationFault);
    expect(() => memory.read(BASE + 100, 100)).toThrow(SegmentationFault);
  });
});

describe("async", () => {
  test("the access happens and sets the flag; TCO suppresses both check and flag", () => {
    const memory = prepared();
    memory.tagCheckMode = TAG_CHECK_ASYNC;
    memory.tco = true;
    memory.setUint8(BASE + 4096, 1);
    expect(memory.asyncTagFault).toBe(false);
    memory.tco = false;
    memory.setUint8(BASE + 4096, 2);
    expect(memory.asyncTagFault).toBe(true);
    expect(memory.getUint8(withTag(BASE + 4096, 3))).toBe(2);
  });

  test("a fill goes through to its end and sets the flag", () => {
    const memory = prepared();
    memory.tagCheckMode = TAG_CHECK_ASYNC;
    memory.fill(BASE + 4000, 5, 200);
    expect(memory.asyncTagFault).toBe(true);
    memory.tagCheckMode = TAG_CHECK_NONE;
    expect(memory.getUint8(BASE + 4199)).toBe(5);
  });
});

test("asymmetric: loads fault immediately, stores are reported later", () => {
  const memory = prepared();
  memory.tagCheckMode = TAG_CHECK_ASYMM;
  memory.setUint8(BASE + 4096, 2);
  expect(memory.asyncTagFault).toBe(true);
  expect(() => memory.getUint8(BASE + 4096)).toThrow(SegmentationFault);
});

describe("against a plain model", () => {
  const step = fc.record({
    at: fc.integer({ min: 4000, max: 4200 }),
    size: fc.constantFrom(1, 2, 3, 4, 5, 8, 11, 16),
    tag: fc.nat(3),
    kind: fc.constantFrom("load", "store", "tag", "zero"),
    mode: fc.constantFrom(TAG_CHECK_NONE, TAG_CHECK_SYNC, TAG_CHECK_ASYNC, TAG_CHECK_ASYMM),
  });

  test("any sequence of accesses and tag stores gives the model's bytes, tags and faults", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { memory } = bareThread([RW_MTE, RW_MTE]);
        const bytes = new Uint8Array(8192);
        const tags = new Uint8Array(512);
        let value = 1;
        for (const { at, size, tag, kind, mode } of steps) {
          memory.tagCheckMode = mode;
          memory.asyncTagFault = false;
          const address = withTag(BASE + at, tag);
          const granule = at >> 4;
          if (kind === "tag" || kind === "zero") {
            const start = withTag(BASE + granule * 16, tag);
            if (kind === "tag") tagRange(memory, start, size * 16);
            else tagAndZeroRange(memory, start, size * 16);
            tags.fill(tag, granule, granule + size);
            if (kind === "zero") bytes.fill(0, granule * 16, (granule + size) * 16);
            continue;
          }
          const touched = [...Array(((at + size - 1) >> 4) - granule + 1).keys()].map((i) => granule + i);
          const bad = touched.find((candidate) => tags[candidate] !== tag);
          const sync = mode === TAG_CHECK_SYNC || (mode === TAG_CHECK_ASYMM && kind === "load");
          const access = (): unknown => {
            if (kind === "load") {
              const got = new Uint8Array(size);
              if (size === 4) new DataView(got.buffer).setUint32(0, memory.getUint32(address), true);
              else if (size === 8) new DataView(got.buffer).setFloat64(0, memory.getFloat64(address), true);
              else loadBytes(memory, address, got);
              return got;
            }
            storeBytes(memory, address, new Uint8Array(size).fill(value));
            return undefined;
          };
          if (bad !== undefined && mode !== TAG_CHECK_NONE && sync) {
            const first = BASE + Math.max(at, bad * 16);
            expect(access).toThrow(expect.objectContaining({ code: "SEGV_MTESERR", address: first, tag }));
          } else {
            const got = access();
            if (kind === "load") expect(got).toEqual(bytes.slice(at, at + size));
            else bytes.fill(value++, at, at + size);
            expect(memory.asyncTagFault).toBe(bad !== undefined && mode !== TAG_CHECK_NONE);
          }
        }
        memory.tagCheckMode = TAG_CHECK_NONE;
        expect(memory.compare(BASE, BASE, 8192)).toBe(0);
        expect(Buffer.compare(memory.read(BASE, 8192), bytes)).toBe(0);
      }),
    );
  });
});
