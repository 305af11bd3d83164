// C programs with Memcheck's verdicts (golden/wasm): invalid accesses, frees and leaks are found, clean programs get no report.
// What is uninitialised is the definedness pass's.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Instance, Module } from "../../../../allocator/wasm/guest/functions.ts";
import type { EngineMemory } from "../../../../platform/host/engine.ts";
import { compileC } from "../clang.ts";
import { Exit, TinyWasi } from "../wasi.ts";

const folder = resolve(fileURLToPath(import.meta.url), "../../../../../../shared/golden/wasm");
const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".c")) : [];
/** Names and verdicts, of those that have one about addresses, or are clean. */
const programs = names
  .map((name) => [name, /verdict: (\S+)/.exec(readFileSync(join(folder, name), "utf8"))?.[1] ?? ""] as const)
  .filter(([, verdict]) => verdict === "clean" || /^(?:invalid-|leak)/.test(verdict));

/** Kinds of findings by Memcheck's words; none: the address checks have nothing to say. */
const FINDINGS: Readonly<Record<string, string>> = {
  "invalid-read": "invalid-access load",
  "invalid-write": "invalid-access store",
  "invalid-free": "invalid-free free",
  leak: "leak null",
};

function run(bytes: Uint8Array): { kinds: Set<string>; output: string } {
  const wasi = new TinyWasi();
  const instance = new Instance(new Module(bytes, { memoryBytes: 2 ** 26, invalidFree: "report" }), wasi.imports);
  wasi.memory = instance.exports.memory as EngineMemory;
  try {
    (instance.exports._start as () => void)();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
  }
  instance.checker.leakCheck();
  const kinds = new Set(instance.checker.findings.map(({ kind, operation }) => `${kind} ${operation}`));
  instance[Symbol.dispose]();
  return { kinds, output: wasi.output };
}

const LONG = 240_000;

test.for(["-O0", "-O1", "-O2"])(
  "programs built with %s get Memcheck's verdict on their addresses",
  { timeout: LONG },
  (level, { skip }) => {
    const wrong: string[] = [];
    let built = 0;
    for (const [name, verdict] of programs) {
      const bytes = compileC(join(folder, name), [level, "-g"]);
      if (bytes === null) continue;
      built++;
      const { kinds, output } = run(bytes);
      const expected = FINDINGS[verdict];
      const isRight = expected === undefined ? kinds.size === 0 : kinds.has(expected);
      if (!isRight) wrong.push(`${name}: ${[...kinds].join(", ") || "nothing"} instead of ${expected ?? "nothing"}`);
      expect(output).not.toBe("");
    }
    expect(wrong).toEqual([]);
    if (built === 0) skip("clang, wasm-ld, WASI's libraries or the programs are not there");
    expect(built).toBe(programs.length);
  },
);
