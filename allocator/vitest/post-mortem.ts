// The state of a failed test's machine at the moment of its first finding, in a file: what `refheap inspect` opens.
// The access or call that was wrong has not happened yet when it is written. What a snapshot holds is platform/state/.

import type { Finding } from "../checker/finding.ts";
import type { Heap } from "../heap/heap.ts";
import { wholeCheckerOf } from "../heap/heap.ts";

/** Node's modules that are used; a host without them cannot write files. */
interface FileSystem {
  mkdirSync(path: string, options: { readonly recursive: true }): unknown;
  writeFileSync(path: string, bytes: Uint8Array): void;
}

/** What a runner tells of a task, as far as a file's name needs it. */
export interface NamedTask {
  readonly name: string;
  readonly suite?: NamedTask | undefined;
  readonly file?: { readonly name: string };
}

/** States that are kept of a test: findings that a matcher expects are soon off the list, and the one that counts comes later. */
const MOST_STATES = 4;

/** The states of a test's machine, until it is known whether the test fails. */
export interface PostMortem {
  /** Writes the state at the first of these findings, or the state now if none of them has one. @returns the file */
  write(findings: readonly Finding[]): string;
}

/**
 * Watches a heap for its findings.
 * @param folder is made when something is written
 * @throws Error: the host has no files
 */
export function watchForPostMortem(heap: Heap, folder: string, task: NamedTask): PostMortem {
  const files = fileSystem();
  const states = new Map<Finding, Uint8Array>();
  const snapshot = (): Uint8Array => heap.kernel.machine.snapshot({ lossy: true });
  wholeCheckerOf(heap).results.handlers.add((finding) => {
    if (states.size < MOST_STATES && !states.has(finding)) states.set(finding, snapshot());
  });
  return {
    write(findings) {
      const known = findings.find((finding) => states.has(finding));
      const file = `${folder}/${fileName(task)}.refheap`;
      files.mkdirSync(folder, { recursive: true });
      files.writeFileSync(file, known === undefined ? snapshot() : (states.get(known) as Uint8Array));
      return file;
    },
  };
}

/** @throws TypeError: no folder's name; undefined: no folder is given */
export function checkFolder(folder: unknown): void {
  if (folder !== undefined && (typeof folder !== "string" || folder === ""))
    throw new TypeError(`postMortem: ${JSON.stringify(folder)} is not the name of a folder`);
}

function fileSystem(): FileSystem {
  const files: FileSystem | undefined = globalThis.process?.getBuiltinModule?.("node:fs");
  if (files === undefined) throw new Error("postMortem: this host has no files to write to");
  return files;
}

/** The test's name with those of its file and suites, of letters, digits and dashes. */
function fileName(task: NamedTask): string {
  const names: string[] = [];
  for (let at: NamedTask | undefined = task; at !== undefined; at = at.suite) if (at.name) names.unshift(at.name);
  names.unshift(task.file?.name ?? "");
  const plain = names
    .join("-")
    .normalize("NFKD")
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-");
  return plain.replaceAll(/^-+|-+$/g, "").slice(0, 120) || "test";
}
