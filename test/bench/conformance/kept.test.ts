// Kept mappings: the kernel chose their addresses, so faults in them are compared by their place in the mapping.
import { beforeEach, expect, test } from "vitest";
import { KeptAddresses } from "../../../bench/conformance/kept.ts";
import { linux } from "../../../bench/conformance/linux/linux.ts";
import { runScript } from "../../../bench/conformance/runner.ts";
import { parseScript } from "../../../bench/conformance/script.ts";

const RECORDED = 0x6000_0000_0000;
let kept: KeptAddresses;

beforeEach(() => {
  kept = new KeptAddresses();
  kept.keep("A", 0x2000_0000);
});

function translated(addr: string, recorded: number, here: number): number | undefined {
  return kept.translate({ op: "load", addr, want: { at: recorded } }, { at: here }).at;
}

test("an address under a name is so many bytes past the mapping, before it too", () => {
  expect([kept.address("$A"), kept.address("$A+10"), kept.address("$A-10")]).toEqual([
    0x2000_0000, 0x2000_000a, 0x1fff_fff6,
  ]);
  expect([kept.address("$B"), kept.address("A"), kept.address("0x10")]).toEqual([undefined, undefined, undefined]);
});

test("a fault in a kept mapping may lie anywhere, but all faults in one mapping equally far away", () => {
  expect(translated("$A+5", RECORDED + 5, 5)).toBe(5);
  expect(translated("$A+8192", RECORDED + 8192, 8192)).toBe(8192);
  expect(translated("$A+8192", RECORDED + 4096, 8192)).toBe(RECORDED + 4096);
});

test("a mapping that is kept under the same name again may be as far away as it likes", () => {
  translated("$A", RECORDED, 0);
  kept.keep("A", 0x3000_0000);
  expect(translated("$A", 2 * RECORDED, 0)).toBe(0);
});

test("the byte within the page counts, and so does a step that names no kept mapping", () => {
  expect(translated("$A+5", RECORDED + 6, 5)).toBe(RECORDED + 6);
  expect(translated("$B+5", RECORDED + 5, 5)).toBe(RECORDED + 5);
  expect(translated("0x10", RECORDED, 0)).toBe(RECORDED);
});

test("a script with a fault in a kept mapping passes wherever the recorded kernel put it", () => {
  const map = { op: "mmap", addr: "0x0", len: 8192, prot: 1, flags: 0x22, fd: -1, off: 0, keep: "A" };
  const fault = (offset: number, at: number) => ({
    op: "store",
    addr: `$A+${offset}`,
    value: 1,
    want: { sig: "SIGSEGV", code: "SEGV_ACCERR", at: RECORDED + at },
  });
  const run = (...steps: object[]) =>
    runScript(
      linux,
      parseScript(JSON.stringify({ name: "x", steps: [{ ...map, want: { ret: "elsewhere" } }, ...steps] })),
    );
  expect(run(fault(7, 7), fault(4096, 4096))).toBeUndefined();
  expect(run(fault(7, 7), fault(4096, 8192))?.difference.field).toBe("at");
});
