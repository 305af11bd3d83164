// Frames beside llvm-symbolizer's, where it is installed, over every address of the fixtures and of programs built here.
// The recordings that frames.test.ts holds us against are written here too (vitest -u).
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeLength, dwarfOf, fixturePath, PROGRAMS, readFixture } from "./fixtures.ts";
import { findTool, framesBySymbolizer, framesByUs } from "./symbolizer.ts";

const symbolizer = findTool("llvm-symbolizer");
const clang = findTool("clang++");

/** Addresses of all bytes of code, or as many as `limit` allows, evenly spread. */
function addressesIn(bytes: Uint8Array, limit: number): number[] {
  const length = codeLength(bytes);
  const step = Math.max(1, Math.floor(length / limit));
  return Array.from({ length: Math.ceil(length / step) - 1 }, (_, index) => 1 + index * step);
}

test.for(PROGRAMS)("what is recorded of %s is what llvm-symbolizer says at every address", async (program, ctx) => {
  if (symbolizer === null) return ctx.skip("llvm-symbolizer is not installed");
  const path = fixturePath(`${program}.wasm`);
  const text = framesBySymbolizer(symbolizer, path, addressesIn(readFixture(program), Number.POSITIVE_INFINITY));
  await expect(text).toMatchFileSnapshot(fixturePath(`${program}.frames.txt`));
});

const LIBRARY_PROGRAM = `
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>
static inline int square(int x) { if (x == 3) abort(); return x * x; }
static inline int sum(const int *p, int n) { int s = 0; for (int i = 0; i < n; i++) s += square(p[i]); return s; }
struct Descending { bool operator()(int a, int b) const { return a > b; } };
template <typename T> struct Box { T value; explicit Box(T v) : value(v) {} T get() const { return value; } };
int main(int argc, char **argv) {
  std::vector<int> v;
  for (int i = 0; i < argc * 5; i++) v.push_back(i);
  std::sort(v.begin(), v.end(), Descending());
  std::map<std::string, int> m;
  m["a"] = sum(v.data(), (int)v.size());
  Box<long long> b(m["a"]);
  auto f = [&](int k) { return (int)b.get() + k; };
  printf("%d %s\\n", f(2), argv[0]);
  return 0;
}
`;

describe("programs with the C and C++ libraries", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "refheap-dwarf-"));
    writeFileSync(join(folder, "main.cpp"), LIBRARY_PROGRAM);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const variants = [
    { level: "-O0", debug: "-gdwarf-4" },
    { level: "-O0", debug: "-gdwarf-5" },
    { level: "-O1", debug: "-gdwarf-4" },
    { level: "-O2", debug: "-gdwarf-4" },
    { level: "-O2", debug: "-gdwarf-5" },
    { level: "-O2", debug: "-gline-tables-only" },
  ];
  test.for(variants)("at $level $debug every frame is llvm-symbolizer's", ({ level, debug }, ctx) => {
    if (symbolizer === null || clang === null) return ctx.skip("clang++ or llvm-symbolizer is not installed");
    const flags = ["--target=wasm32-wasi", "-fno-exceptions", level, debug, "-c", "main.cpp", "-o", "main.o"];
    // wasm-opt would run behind the linker at -O1 and above: linked apart, at -O0.
    const link = ["--target=wasm32-wasi", "main.o", "-o", "main.wasm"];
    for (const command of [flags, link]) {
      const { status, stderr } = spawnSync(clang, command, { cwd: folder, encoding: "utf8" });
      if (status !== 0) return ctx.skip(`no wasm32-wasi sysroot: ${stderr.slice(0, 200)}`);
    }
    const path = join(folder, "main.wasm");
    const bytes = new Uint8Array(readFileSync(path));
    const addresses = addressesIn(bytes, 2000);
    expect(framesByUs(dwarfOf(bytes), addresses)).toBe(framesBySymbolizer(symbolizer, path, addresses));
  });
});
