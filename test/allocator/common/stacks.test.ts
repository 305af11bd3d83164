// Host stack traces of chunks: whose frames they show, and that their number is bounded.
import { describe, expect, test } from "vitest";
import { StackTable } from "../../../allocator/common/stacks.ts";

function allocateHere(table: StackTable, address: number): void {
  table.recordAllocation(address);
}

function freeHere(table: StackTable, address: number): void {
  table.recordFree(address);
}

describe("a stack table", () => {
  test("shows where a chunk was allocated and freed, the user's frame first", () => {
    const table = new StackTable({ capacity: 4, frames: 3 });
    allocateHere(table, 0x1000);
    freeHere(table, 0x1000);
    const stacks = table.stacksOf(0x1000)!;
    expect(stacks.allocation!.split("\n")[0]).toContain("allocateHere");
    expect(stacks.free!.split("\n")[0]).toContain("freeHere");
  });

  test("shows no frame of the library itself", () => {
    const table = new StackTable({ capacity: 4, frames: 8 });
    allocateHere(table, 0x1000);
    expect(table.stacksOf(0x1000)!.allocation).not.toContain("allocator/common/stacks.ts");
  });

  test("keeps no more frames than asked for", () => {
    const table = new StackTable({ capacity: 4, frames: 2 });
    const deep = (depth: number): void => (depth === 0 ? allocateHere(table, 16) : deep(depth - 1));
    deep(20);
    expect(table.stacksOf(16)!.allocation!.split("\n")).toHaveLength(2);
  });

  test("forgets the oldest chunk when it is full", () => {
    const table = new StackTable({ capacity: 2, frames: 4 });
    for (const address of [16, 32, 48]) allocateHere(table, address);
    expect(table.stacksOf(16)).toBeNull();
    expect(table.stacksOf(32)).not.toBeNull();
    expect(table.stacksOf(48)).not.toBeNull();
  });

  test("forgets the last free when the address is allocated again", () => {
    const table = new StackTable({ capacity: 2, frames: 4 });
    allocateHere(table, 16);
    freeHere(table, 16);
    allocateHere(table, 16);
    expect(table.stacksOf(16)!.free).toBeNull();
  });

  test("knows a free whose allocation was forgotten", () => {
    const table = new StackTable({ capacity: 2, frames: 4 });
    freeHere(table, 16);
    expect(table.stacksOf(16)).toMatchObject({ allocation: null });
    expect(table.stacksOf(16)!.free).toContain("freeHere");
  });

  test("leaves the host's own limit on traces as it was", () => {
    const before = Error.stackTraceLimit;
    allocateHere(new StackTable({ capacity: 1, frames: 50 }), 16);
    expect(Error.stackTraceLimit).toBe(before);
  });
});
