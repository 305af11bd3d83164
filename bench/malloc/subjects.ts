// The allocators that `npm run bench -- malloc` compares, and how each is asked: what it is, where it is found, or why it is left out.
// What they are asked is workloads.ts; who runs a workload is runner.ts.

import { existsSync, readdirSync } from "node:fs";
import type { HeapOptions } from "../../allocator/index.ts";
import { findScudo } from "../harness/native-heaps.ts";
import type { Workload } from "./workloads.ts";

export type Family = "refheap" | "JavaScript" | "WebAssembly" | "native";

/** How child.ts or driver.c gets an allocator. */
export interface Subject {
  readonly name: string;
  readonly family: Family;
  /** refheap: the heap's options. */
  readonly options?: HeapOptions;
  /** WebAssembly: the module beside this folder's sources. */
  readonly module?: string;
  /** Native: what stands before the program in the environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Why this machine has none. */
  readonly missing?: string;
  /** Most chunks alive that it bears: its free list is searched from the begin. */
  readonly mostLive?: number;
}

const LIBRARY_FOLDERS = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/local/lib",
];

/** A shared library by the begin of its name; the first folder that has one. */
function findLibrary(pattern: RegExp): string | null {
  for (const folder of LIBRARY_FOLDERS) {
    if (!existsSync(folder)) continue;
    const name = readdirSync(folder).find((file) => pattern.test(file));
    if (name !== undefined) return `${folder}/${name}`;
  }
  return null;
}

function preloaded(name: string, library: string | null, environment: Record<string, string> = {}): Subject {
  if (library === null) return { name, family: "native", missing: "its library is not installed" };
  return { name, family: "native", environment: { LD_PRELOAD: library, ...environment } };
}

export function listSubjects(): Subject[] {
  const scudo = findScudo();
  return [
    { name: "refheap", family: "refheap", options: {} },
    { name: "refheap, pattern", family: "refheap", options: { fill: "pattern" } },
    { name: "refheap, tagged", family: "refheap", options: { tagging: "sync" } },
    { name: "refheap, byte-tracked", family: "refheap", options: { uninitialised: "byte", stacks: false } },
    { name: "@thi.ng/malloc", family: "JavaScript", mostLive: 2000 },
    { name: "AssemblyScript TLSF", family: "WebAssembly", module: "tlsf.wasm" },
    { name: "dlmalloc in wasm", family: "WebAssembly", module: "dlmalloc.wasm" },
    { name: "glibc", family: "native", environment: {} },
    preloaded("Scudo", scudo),
    preloaded("Scudo, pattern", scudo, { SCUDO_OPTIONS: "pattern_fill_contents=true" }),
    preloaded("mimalloc", findLibrary(/^libmimalloc\.so/)),
    preloaded("jemalloc", findLibrary(/^libjemalloc\.so/)),
    preloaded("tcmalloc", findLibrary(/^libtcmalloc(_minimal)?\.so/)),
  ];
}

/** Why a subject cannot do a workload; null: it can. */
export function whyNot(subject: Subject, { live }: Workload): string | null {
  if (subject.missing !== undefined) return subject.missing;
  if (subject.mostLive !== undefined && live > subject.mostLive) return "each call searches the list of its blocks";
  return null;
}
