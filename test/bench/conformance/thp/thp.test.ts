// The dialect of huge-page scripts: the settings that a script may name, and the steps that only it has.
import { describe, expect, test } from "vitest";
import { settingsOf } from "../../../../bench/conformance/linux/huge-settings.ts";
import { runScript } from "../../../../bench/conformance/runner.ts";
import { parseScript, ScriptError } from "../../../../bench/conformance/script.ts";
import { thp } from "../../../../bench/conformance/thp/thp.ts";

const MIB = 2 ** 20;

function script(env: unknown, steps: readonly unknown[] = []) {
  return parseScript(JSON.stringify({ name: "made here", env, steps }));
}

const map = { op: "mmap", addr: 0, len: 4 * MIB, prot: 3, flags: 0x32, fd: -1, off: 0, want: { ret: 0 } };
const advise = { op: "madvise", addr: 0, len: 4 * MIB, advice: 14, want: { ret: 0 } };

describe("env", () => {
  test("is turned into the kernel's options", () => {
    expect(settingsOf(script({ thp: "always", zero: 0, sizes: "16K+64K+2M", shmem: "advise" }))).toEqual({
      enabled: "always",
      useZeroPage: false,
      sizes: [16, 64, 2048],
      shmem: "advise",
    });
  });

  test.each([
    [{ thp: "sometimes" }, "hugePages.enabled"],
    [{ zero: 2 }, "env.zero 2"],
    [{ sizes: "12K" }, "12 is not a power of two"],
    [{ sizes: "8K" }, "8 is not a power of two from 16"],
    [{ sizes: "all" }, "no list of sizes"],
    [{ shmem: "always" }, "hugePages.shmem"],
  ])("%j is refused as an error of the file", (env, message) => {
    expect(() => runScript(thp, script(env))).toThrow(ScriptError);
    expect(() => runScript(thp, script(env))).toThrow(message);
  });
});

describe("a step", () => {
  test("touch stores a byte a page, and tells how many stores it made before a fault", () => {
    const touch = (len: number, want: unknown) => ({ op: "touch", addr: 0, len, value: 5, want });
    const fault = { sig: "SIGSEGV", code: "SEGV_MAPERR", at: 4 * MIB, done: 1024, flt: 2 };
    expect(runScript(thp, script({}, [map, advise, touch(4 * MIB + 4096, fault)]))).toBeUndefined();
  });

  test("probe goes on behind pages that refuse", () => {
    const unmap = { op: "munmap", addr: 4096, len: 4096, want: { ret: 0 } };
    const probe = { op: "probe", addr: 0, len: 12288, want: { runs: [[0, 1], [-1, 1], [0, 1]], flt: 2 } }; // biome-ignore format: one step a line
    expect(runScript(thp, script({}, [map, unmap, probe]))).toBeUndefined();
  });

  test("thp_disable keeps later faults small, and thp_disabled tells so", () => {
    const disable = { op: "thp_disable", value: 1, flags: 0, want: { ret: 0 } };
    const asked = { op: "thp_disabled", want: { ret: 1 } };
    const touch = { op: "touch", addr: 0, len: 2 * MIB, value: 1, want: { ret: 0, flt: 512 } };
    expect(runScript(thp, script({ thp: "always" }, [map, disable, asked, touch]))).toBeUndefined();
  });
});

test("an observation that differs in a huge page, its folio or its eligibility is a failure", () => {
  const touch = { op: "touch", addr: 0, len: 2 * MIB, value: 1, want: { ret: 0, flt: 1 } };
  const drop = { op: "madvise", addr: 0, len: 4096, advice: 4, want: { ret: 0 } };
  const row = [0, 1024, "rw-p", "", 0, 511, 2044, 0, 0, 0, 511, 511, 0, "rd wr mr mw me ac hg", 0, 0, 1];
  const seen = { vmas: [row], pages: ".511L512.", folios: [[1, 511, 0, 1, 512]] };
  const differing = (change: object) => {
    const steps = [map, advise, touch, drop, { op: "observe", want: { ...seen, ...change } }];
    return runScript(thp, script({}, steps))?.difference.field;
  };
  expect(differing({})).toBeUndefined();
  expect(differing({ pages: ".511A512." })).toBe("pages");
  expect(differing({ folios: [[1, 511, 0, 0, 512]] })).toBe("folios");
  expect(differing({ vmas: [[...row.slice(0, 16), 0]] })).toBe("vmas, area 1 (THPeligible)");
});
