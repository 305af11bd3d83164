// Programs in Rust for the tests, where a compiler with the library for wasm32-wasi is installed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TARGET = ["--target", "wasm32-wasi"];

/** The first compiler on the path whose library is there. */
function findCompiler(): string | null {
  for (const folder of (process.env.PATH ?? "").split(":")) {
    const compiler = join(folder, "rustc");
    if (!existsSync(compiler)) continue;
    const { status, stdout } = spawnSync(compiler, [...TARGET, "--print", "target-libdir"], { encoding: "utf8" });
    if (status === 0 && existsSync(stdout.trim())) return compiler;
  }
  return null;
}

/** A library's module, or null where it cannot be built. */
export function compileRust(text: string, options: readonly string[]): Uint8Array<ArrayBuffer> | null {
  const compiler = findCompiler();
  if (compiler === null) return null;
  const folder = mkdtempSync(join(tmpdir(), "refheap-rust-"));
  try {
    writeFileSync(join(folder, "program.rs"), text);
    const output = join(folder, "program.wasm");
    const given = [...TARGET, "--crate-type", "cdylib", "-A", "warnings", ...options];
    const { status } = spawnSync(compiler, [...given, join(folder, "program.rs"), "-o", output], { stdio: "ignore" });
    return status === 0 ? new Uint8Array(readFileSync(output)) : null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
