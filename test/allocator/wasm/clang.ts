// C programs for the tests, where a compiler for WebAssembly is installed. Its optimiser wasm-opt is kept out: it drops names.
import { execFileSync } from "node:child_process";
import { accessSync, mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VERSIONS = ["-19", "-18", "-17", "-16", ""];
const folder = mkdtempSync(join(tmpdir(), "refheap-clang-"));

function find(name: string): string | null {
  for (const path of (process.env.PATH ?? "").split(":")) {
    try {
      accessSync(join(path, name));
      return join(path, name);
    } catch {}
  }
  return null;
}

/** A folder with nothing but the compiler and its linker; null: they are not there. */
function findTools(): { clang: string; path: string } | null {
  for (const version of VERSIONS) {
    const clang = find(`clang${version}`);
    const linker = find(`wasm-ld${version}`);
    if (clang === null || linker === null) continue;
    symlinkSync(linker, join(folder, `wasm-ld${version}`));
    return { clang, path: folder };
  }
  return null;
}

const tools = findTools();
let programs = 0;

/** The module of a C file for WASI, or with `--driver-mode=g++` of a C++ one; null where it cannot be built. */
export function compileC(file: string, options: readonly string[]): Uint8Array<ArrayBuffer> | null {
  if (tools === null) return null;
  const output = join(folder, `program-${++programs}.wasm`);
  try {
    execFileSync(tools.clang, ["--target=wasm32-wasi", ...options, "-o", output, file], {
      env: { PATH: tools.path },
      stdio: "pipe",
    });
  } catch {
    return null;
  }
  return new Uint8Array(readFileSync(output));
}
