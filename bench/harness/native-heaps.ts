// C programs of the project's own, compiled on this machine for its C library and, where it is installed, for the real Scudo; each is
// left out with a reason where it cannot be had.

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findCompiler, succeeds } from "./c-compiler.ts";

export interface NativeProgram {
  readonly heap: "scudo" | "glibc";
  readonly file: string;
  readonly environment: NodeJS.ProcessEnv;
}

export interface NativePrograms {
  readonly programs: readonly NativeProgram[];
  /** Why a heap is not there. */
  readonly reasons: readonly string[];
  readonly remove: () => void;
}

/** Scudo's shared library of the newest LLVM that has one, or null; SCUDO_LIBRARY names another. */
export function findScudo(): string | null {
  const given = process.env.SCUDO_LIBRARY;
  if (given !== undefined) return existsSync(given) ? given : null;
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const found: string[] = [];
  for (const root of ["/usr/lib", "/usr/lib64", "/opt"].filter(existsSync)) {
    for (const llvm of readdirSync(root).filter((name) => /^llvm|^clang/.test(name))) {
      const clang = [join(root, llvm, "lib/clang"), join(root, llvm)].filter(existsSync);
      for (const folder of clang) {
        for (const version of readdirSync(folder)) {
          const file = join(folder, version, "lib/linux", `libclang_rt.scudo_standalone-${machine}.so`);
          if (existsSync(file)) found.push(file);
        }
      }
    }
  }
  return found.sort().at(-1) ?? null;
}

/** Compiles `source` for each heap that is at hand. */
export function compileForHeaps(source: string): NativePrograms {
  const none = (reason: string): NativePrograms => ({ programs: [], reasons: [reason], remove: () => {} });
  if (process.platform !== "linux") return none(`needs Linux, this is ${process.platform}`);
  if (!existsSync(source)) return none(`${source} is not here: needs the project's own folder`);
  const compiler = findCompiler();
  if (compiler === null) return none("no C compiler (cc, gcc or clang) is installed");
  const folder = mkdtempSync(join(tmpdir(), "refheap-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const programs: NativeProgram[] = [];
  const reasons: string[] = [];
  const quiet = { ...process.env, SCUDO_OPTIONS: "GWP_ASAN_Enabled=false" };
  const glibc = join(folder, "glibc");
  if (succeeds(compiler, ["-O1", "-w", "-o", glibc, source])) {
    programs.push({ heap: "glibc", file: glibc, environment: process.env });
  } else reasons.push(`${compiler} could not compile ${source}`);
  const library = findScudo();
  const scudo = join(folder, "scudo");
  if (library === null) reasons.push("the real Scudo (compiler-rt's libclang_rt.scudo_standalone) is not installed");
  else if (succeeds(compiler, ["-O1", "-w", "-o", scudo, source, library, `-Wl,-rpath,${dirname(library)}`])) {
    programs.push({ heap: "scudo", file: scudo, environment: quiet });
  } else reasons.push(`${compiler} could not link ${library}`);
  return { programs, reasons, remove };
}
