// `refheap check` and `refheap run` on a program in C with known bugs (../wasm/fixtures/message.c, built once and kept as it is).
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import { Workplace } from "./refheap.ts";

const fixture = fileURLToPath(new URL("../wasm/fixtures/message.wasm", import.meta.url));
let place: Workplace;

beforeAll(() => {
  place = new Workplace();
  copyFileSync(fixture, place.path("message.wasm"));
});
afterAll(() => place.remove());

const check = (...words: string[]) => place.refheap(["check", ...words]);

describe("refheap check", () => {
  test("a program without errors ends as it would, and nothing is said but the summary", () => {
    const { status, stdout, stderr } = check("message.wasm", "none");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "text\n" });
    expect(stderr).toMatch(/^refheap: lost: definitely 0 bytes in 0 blocks, .*\nrefheap: 0 findings\n$/);
  });

  test("a stale pointer is reported at the program's line, with where its block was allocated and freed", () => {
    const { status, stderr } = check("message.wasm", "stale");
    expect(status).toBe(0);
    expect(stderr).toContain(
      "Use after free: load of 4 bytes at offset 0 of the freed block A of 16 bytes\n    at main (message.c:28:",
    );
    expect(stderr).toMatch(/block A: from malloc\n {4}at decode \(message\.c:13:\d+\)\n {4}at main \(message\.c:26:/);
    expect(stderr).toMatch(/block A was freed\n {4}at main \(message\.c:27:/);
  });

  test("an overflow is found where the string function stores, and no frame is the command's own", () => {
    const { stderr } = check("message.wasm", "overflow");
    expect(stderr).toMatch(
      /Access out of bounds: store of 1 byte right behind block A of 16 bytes\n(?: {4}at .*\n)* {4}at decode \(message\.c:15:/,
    );
    expect(stderr).not.toMatch(/main\.js|node:/);
  });

  test("a use of what was never written is reported where it decides", () => {
    const { stderr } = check("message.wasm", "uninitialised");
    expect(stderr).toMatch(/undefined|uninitialised/i);
    expect(stderr).toMatch(/at main \(message\.c:3[0-2]:/);
    expect(check("--undefined-value-errors=no", "message.wasm", "uninitialised").stderr).toContain(
      "refheap: 0 findings",
    );
  });

  test("what stopped a program many calls deep is shown with all of them", () => {
    const level = (n: number) => `(func $level${n} (call $level${n + 1}))`;
    const levels = Array.from({ length: 20 }, (_, n) => level(n)).join(" ");
    const text = `(module (memory (export "memory") 1) (func $level20 unreachable) ${levels} (func (export "_start") (call $level0)))`;
    writeFileSync(place.path("deep.wasm"), wat(text));
    const { status, stderr } = check("deep.wasm");
    expect(status).toBe(134);
    expect(stderr).toMatch(/unreachable\n {4}at level20 [\s\S]*\n {4}at level0 /);
  });

  test("a lost block is a leak, unless leaks are not looked for", () => {
    expect(check("message.wasm", "leak").stderr).toMatch(
      /16 bytes in 1 block is definitely lost\n {4}at decode \(message\.c:13:/,
    );
    expect(check("--leak-check=no", "message.wasm", "leak").stderr).toContain("refheap: 0 findings");
  });

  test("a summary counts lost blocks, which are no findings then", () => {
    const { status, stderr } = check("--leak-check=summary", "--error-exitcode=9", "message.wasm", "leak");
    expect(status).toBe(0);
    expect(stderr).toMatch(/^refheap: lost: definitely 16 bytes in 1 block, .*\nrefheap: 0 findings\n$/);
  });

  test("a trap is shown with the program's own functions and bytes", () => {
    writeFileSync(
      place.path("trap.wasm"),
      wat(`(module (memory (export "memory") 1) (global $there (mut i32) (i32.const 2048))
        (func $inner (i32.store (global.get $there) (i32.const 1)) (unreachable))
        (func $_start (export "_start") (i32.store (global.get $there) (i32.const 1)) (call $inner)))`),
    );
    const { status, stderr } = check("trap.wasm");
    expect(status).toBe(134);
    expect(stderr).toMatch(
      /stopped: RuntimeError: unreachable\n {4}at inner \(trap\.wasm:1:(\d+)\)\n {4}at _start \(trap\.wasm:1:\d+\)\n/,
    );
    const offset = Number(/at inner \(trap\.wasm:1:(\d+)/.exec(stderr)?.[1]);
    expect(readFileSync(place.path("trap.wasm"))[offset]).toBe(0);
  });

  test("the exit code is the one that was asked for, if something was found", () => {
    expect(check("--error-exitcode=9", "message.wasm", "leak").status).toBe(9);
    expect(check("--error-exitcode=9", "message.wasm", "none").status).toBe(0);
  });

  test("what a suppression generates keeps the finding away", () => {
    const { stderr } = check("--gen-suppressions=all", "-q", "message.wasm", "leak");
    const lines = stderr.split("\n").filter((line) => line.startsWith("leak "));
    expect(lines).toHaveLength(1);
    writeFileSync(place.path("known.txt"), `${lines[0]}\n`);
    expect(check("--suppressions=known.txt", "message.wasm", "leak").stderr).toContain(
      "refheap: 0 findings, 1 suppressed",
    );
  });

  test("findings are JSON and SARIF for those who ask", () => {
    const { stderr } = check("--json", "--sarif=out.sarif", "message.wasm", "stale");
    expect(JSON.parse(stderr)).toHaveLength(1);
    const sarif = JSON.parse(readFileSync(place.path("out.sarif"), "utf8"));
    expect(sarif.version).toBe("2.1.0");
    expect(sarif.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri).toContain("message.c");
  });
});

describe("refheap run", () => {
  test("prints the program's output once, and a row for each policy from its own touches", () => {
    const { status, stdout, stderr } = place.refheap([
      "run",
      "-p",
      "pattern-memset,pattern-refpage",
      "message.wasm",
      "none",
    ]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "text\n" });
    expect(stderr).toContain("message.wasm: touches of the program; differences from pattern-memset");
    expect(stderr).toMatch(/^pattern-refpage /m);
  });

  test("--record writes a trace that replays", () => {
    place.refheap(["run", "-p", "none", "--record", "message.rht", "message.wasm", "leak"]);
    expect(place.refheap(["inspect", "message.rht"]).stdout).toContain("2 malloc, 1 calloc");
  });

  test("a policy that no module can have is refused before anything runs", () => {
    const { status, stdout, stderr } = place.refheap(["run", "-p", "tag-small", "message.wasm", "none"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain("no room for a tag");
  });
});

describe("a module whose functions have no names", () => {
  const NAMELESS = `(module (memory (export "memory") 1)
    (func (param i32) (result i32) (i32.const 2048))
    (func (export "drop") (param i32))
    (func (export "_start") (local i32) (local.set 0 (call 0 (i32.const 8)))
      (i32.store offset=8 (local.get 0) (i32.const 1)) (call 1 (local.get 0))))`;
  const withFunctions = (...given: string[]) => {
    writeFileSync(place.path("nameless.wasm"), wat(NAMELESS));
    return check(...given, "nameless.wasm");
  };

  test("has its own allocator, and that is said", () => {
    const { status, stderr } = withFunctions();
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringContaining("no malloc was found in the module"),
    });
    expect(stderr).toContain("refheap: 0 findings");
    const { stderr: figures } = place.refheap(["run", "-p", "none", "nameless.wasm"]);
    expect(figures).toContain("no malloc was found in the module");
  });

  test.each(["malloc=0,free=1", "malloc=0,free=drop"])("has the heap's by the map %s", (map) => {
    const { stderr } = withFunctions("--functions", map);
    expect(stderr).toContain("Access out of bounds: store of 4 bytes right behind block A of 8 bytes");
    expect(stderr).not.toContain("no malloc");
  });

  test.each([
    ["malloc=9", 1, 'functions: "malloc" is function 9; the module\'s own are 0 to 2'],
    ["malloc=nothing", 1, 'functions: "malloc" is "nothing", but no function is exported by that name'],
    ["malloc=2", 1, 'function 2 ("malloc") has the signature >, where i>i is needed'],
    ["free=1", 1, "functions: free without malloc"],
    ["maloc=0", 1, '"maloc" is no function of a heap; those are malloc, free'],
    ["malloc", 2, '"malloc" is not own, heap or NAME=INDEX'],
  ])("and no other by %s", (map, code, message) => {
    const { status, stderr } = withFunctions("--functions", map);
    expect({ status, stderr }).toMatchObject({ status: code, stderr: expect.stringContaining(message) });
  });
});

describe("what is no program", () => {
  test.each([
    ["a file that is not there", "nothing.wasm", /nothing\.wasm: no such file/],
    ["a text", "text.wasm", /refheap: .*(not a WebAssembly module|magic|module)/],
    ["a library without _start", "library.wasm", /exports no "_start"/],
    ["a module with glue of its own", "glue.wasm", /imports "env\.log", which WASI does not have/],
  ])("%s gets a sentence and exit code 1", (_, name, message) => {
    writeFileSync(place.path("text.wasm"), "not a module");
    writeFileSync(place.path("library.wasm"), wat('(module (memory (export "memory") 1) (func (export "f")))'));
    writeFileSync(
      place.path("glue.wasm"),
      wat('(module (import "env" "log" (func)) (memory (export "memory") 1) (func (export "_start")))'),
    );
    const { status, stderr } = check(name);
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("a mistyped option is wrong usage, and the nearest one is said", () => {
    const { status, stderr } = check("--error-exitcod=1", "message.wasm");
    expect(status).toBe(2);
    expect(stderr).toContain("--error-exitcode");
  });
});
