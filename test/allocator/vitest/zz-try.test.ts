import { test } from "../../../allocator/vitest/index.ts";
import { expect, describe, beforeEach, afterEach } from "vitest";
describe("frees after the test", () => {
  let held: number[] = [];
  test.aroundEach(async (run, { heap }) => { held = [heap.malloc(100), heap.malloc(300_000)]; await run(); await new Promise((r) => setTimeout(r, 20)); for (const p of held) heap.free(p); });
  test.aroundEach(async (run, { heap }) => { const p = heap.malloc(10); await run(); heap.memory.setUint8(p, 1); heap.free(p); });
  beforeEach(() => {}); afterEach(() => {});
  test("uses it", ({ heap }) => { heap.memory.setUint8(held[0], 1); const p = heap.malloc(3); heap.free(p); });
  test("uses nothing", () => {});
  test("two ways", ({ heap, onTestFinished }) => { const p = heap.malloc(4); onTestFinished(() => heap.free(p)); });
  test("resized", ({ heap }) => { held[1] = heap.realloc(held[1], 600_000); });
  test.fails("a leak still fails", ({ heap }) => { heap.malloc(77); });
  test("async", async ({ heap }) => { const p = heap.malloc(4); await Promise.resolve(); heap.free(p); });
  test.each([1, 2])("each %d", () => {});
  test("retries", { retry: 2 }, ({ heap, task }) => { const p = heap.malloc(4); heap.free(p); if ((task.result?.retryCount ?? 0) < 1) throw new Error("again"); });
  test.concurrent("c1", async ({ heap }) => { const p = heap.malloc(4); await new Promise((r) => setTimeout(r, 5)); heap.free(p); });
});
describe("around that throws", () => {
  test.aroundEach(async (run, { heap }) => { const p = heap.malloc(10); try { await run(); } finally { heap.free(p); } });
  test.fails("a test that throws", () => { throw new Error("x"); });
  test("expects", ({ heap }) => { expect(() => heap.memory.getUint8(heap.malloc(0))).toThrow; });
});
describe("leaky around", () => {
  test.aroundEach(async (run, { heap }) => { await run(); heap.malloc(10); });
  test.fails("its leak is found", () => {});
});
