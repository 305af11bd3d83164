// node:wasi runs a command that is a guest: it takes the instance and its memory for the engine's own.
// One run only: Node 20's node:wasi crashes after many under memory pressure, with modules as they are too.
import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WASI } from "node:wasi";
import { expect, test } from "vitest";
import { instantiate } from "../../../../allocator/wasm/guest/functions.ts";
import { wat } from "../../../../fuzz/wasm/wat.ts";
import type { Imports } from "../../../../platform/host/engine.ts";

test("node:wasi starts a guest, and reads what it prints from a block of the heap", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "refheap-wasi-")), "output");
  const stdout = openSync(file, "w");
  const wasi = new WASI({ version: "preview1", stdout, returnOnExit: true });
  const bytes = wat(`(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $malloc (param i32) (result i32) unreachable)
    (func $free (param i32) unreachable)
    (func (export "_start") (local $text i32)
      (local.set $text (call $malloc (i32.const 6)))
      (memory.init $hello (local.get $text) (i32.const 0) (i32.const 6))
      (i32.store (i32.const 2000) (local.get $text))
      (i32.store (i32.const 2004) (i32.const 6))
      (drop (call $fd_write (i32.const 1) (i32.const 2000) (i32.const 1) (i32.const 2008)))
      (call $free (local.get $text)))
    (data $hello "hello\\n"))`);
  const guest = await instantiate(bytes, wasi.getImportObject() as unknown as Imports, { memoryBytes: 2 ** 24 });
  expect(wasi.start(guest.instance)).toBe(0);
  closeSync(stdout);
  expect(readFileSync(file, "utf8")).toBe("hello\n");
  expect(guest.checker.toText()).toBe("no errors");
  guest[Symbol.dispose]();
});
