// A policy of the user's own: a module that exports `policy`, loaded, looked at and tried once before any trace is read.
// What it may import of this package is own-modules.ts; how it becomes a heap is heap-subject.ts.
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Heap, type HeapOptions, type MapPattern } from "../../../allocator/index.ts";
import { nearestName } from "../../../allocator/options/option-error.ts";
import { Kernel, type KernelOptions } from "../../../platform/kernel/kernel.ts";
import { installRefpage } from "../../../refpage/install.ts";
import { offerLibrary } from "./own-modules.ts";
import { POLICIES, type Policy } from "./policy.ts";

/** What a module exports under the name `policy`. */
export interface OwnPolicy {
  /** What tables and reports call it. */
  readonly name: string;
  /** What it stands for, in a few words. */
  readonly what?: string;
  /** Adds the interface to a kernel, which has reference pages already. */
  readonly install?: (kernel: Kernel) => void;
  /** Options of that kernel; clock, seed and size of the machine are the replay's. */
  readonly kernel?: KernelOptions;
  /** Options of the heap; its kernel, seed and mapPattern are given otherwise. With mapPattern, fill is `"pattern"` unless it is given. */
  readonly heap?: HeapOptions;
  /** How large chunks map their pattern, and the microbenchmark its memory. */
  readonly mapPattern?: MapPattern;
}

/** A module is not there, is no policy, or failed; the message is one line and begins with its file. */
export class OwnPolicyError extends Error {
  override readonly name = "OwnPolicyError";
}

const FIELDS = ["name", "what", "install", "kernel", "heap", "mapPattern"];
/** Options that a replay gives itself. */
const OWN_HEAP_OPTIONS = ["kernel", "process", "memoryBytes", "seed", "write", "mapPattern"];
const OWN_KERNEL_OPTIONS = ["clock", "seed", "homeFrames"];
const TRIAL_BYTES = 2 ** 25;
const TRIAL_BLOCK_BYTES = 2 ** 20;

const loaded = new Map<string, Promise<OwnPolicy>>();

/** Whether `--policy` names a file and no policy of ours. */
export function isOwnPolicy(text: string): boolean {
  return /[/\\]|\.[cm]?[jt]s$/.test(text.split("+")[0]);
}

/** The policy before its module was loaded. @throws RangeError: with fields, which it has none of */
export function namedOwnPolicy(file: string, plain: Policy): Policy {
  if (file.includes("+"))
    throw new RangeError(`policy "${file}": a policy of your own has no fields; its module says all`);
  return { ...plain, name: file, own: { file, what: "" } };
}

/** Loads the modules of those policies that are files; the others stay as they are. @throws OwnPolicyError */
export async function resolveOwnPolicies(policies: readonly Policy[]): Promise<Policy[]> {
  const resolved = await Promise.all(
    policies.map(async (policy) => {
      if (policy.own === undefined) return policy;
      const { file } = policy.own;
      const { name, what = "" } = await loadOwnPolicy(file);
      return { ...policy, name, own: { file, what } };
    }),
  );
  for (const [index, { name, own }] of resolved.entries()) {
    const first = resolved.findIndex((policy) => policy.name === name);
    if (first !== index && own !== undefined)
      throw new OwnPolicyError(`${own.file}: another policy is called "${name}" as well`);
  }
  return resolved;
}

/** The policy of a module, loaded once a thread. @throws OwnPolicyError */
export function loadOwnPolicy(file: string): Promise<OwnPolicy> {
  const path = resolve(file);
  const known = loaded.get(path);
  if (known !== undefined) return known;
  const loading = load(file, path);
  loaded.set(path, loading);
  return loading;
}

async function load(file: string, path: string): Promise<OwnPolicy> {
  if (!existsSync(path)) throw new OwnPolicyError(`${file}: no such file`);
  if (!statSync(path).isFile()) throw new OwnPolicyError(`${file}: is a folder, a module is needed`);
  offerLibrary();
  let exported: { readonly policy?: unknown };
  try {
    exported = await import(pathToFileURL(path).href);
  } catch (error) {
    throw failure(file, "loading it", error);
  }
  const policy = checkShape(file, exported.policy);
  try {
    const kernel = makeOwnKernel(policy, { memoryBytes: TRIAL_BYTES });
    tryHeap(policy, kernel);
    kernel.checkInvariants();
  } catch (error) {
    throw failure(file, "trying it", error);
  }
  return policy;
}

/** A large chunk comes and goes, and reads as it says. */
function tryHeap(policy: OwnPolicy, kernel: Kernel): void {
  const heap = makeOwnHeap(policy, kernel, 1);
  try {
    const block = heap.malloc(TRIAL_BLOCK_BYTES);
    const { fill, pattern } = heap.options;
    const isPattern = policy.mapPattern !== undefined && fill === "pattern" && block !== 0;
    for (const [index, byte] of (isPattern ? pattern : new Uint8Array()).entries()) {
      const found = heap.memory.getUint8(block + index);
      if (found !== byte)
        throw new Error(`byte ${index} of a large chunk reads 0x${found.toString(16)}, not 0x${byte.toString(16)}`);
    }
    heap.free(block);
  } finally {
    heap[Symbol.dispose]();
  }
}

/** What an error in a user's code becomes: one line. */
export function failure(file: string, when: string, error: unknown): OwnPolicyError {
  const { name, message } = error instanceof Error ? error : { name: "thrown", message: String(error) };
  const line = message.split("\n")[0];
  return new OwnPolicyError(`${file}: ${when}: ${name === "Error" ? "" : `${name}: `}${line}`, { cause: error });
}

function checkShape(file: string, given: unknown): OwnPolicy {
  const wrong = (message: string): never => {
    throw new OwnPolicyError(`${file}: ${message}`);
  };
  if (given === undefined) wrong('it exports no "policy"; see docs/own-interface.md');
  if (typeof given !== "object" || given === null || Array.isArray(given)) return wrong('its "policy" is no object');
  const policy = given as { [Field in keyof OwnPolicy]: unknown };
  for (const field of Object.keys(policy)) {
    if (!FIELDS.includes(field))
      wrong(`policy has a field "${field}" that none has; the nearest is "${nearestName(field, FIELDS)}"`);
  }
  const { name, what, install, kernel, heap, mapPattern } = policy;
  if (typeof name !== "string" || !/^[\w.-]+$/.test(name))
    wrong("policy.name is a word of letters, digits, _, . and -");
  if (Object.hasOwn(POLICIES, String(name))) wrong(`policy.name "${String(name)}" is that of a built-in policy`);
  if (what !== undefined && typeof what !== "string") wrong("policy.what is a text");
  for (const [field, value] of Object.entries({ install, mapPattern }))
    if (value !== undefined && typeof value !== "function") wrong(`policy.${field} is a function`);
  for (const [field, value, others] of [
    ["heap", heap, OWN_HEAP_OPTIONS],
    ["kernel", kernel, OWN_KERNEL_OPTIONS],
  ] as const) {
    if (value === undefined) continue;
    if (typeof value !== "object" || value === null) return wrong(`policy.${field} is an object of options`);
    const own = others.find((option) => option in value);
    if (own !== undefined) wrong(`policy.${field}.${own} is not the module's to give`);
  }
  return policy as OwnPolicy;
}

/** A kernel with reference pages and the user's interface. @throws what the module throws */
export function makeOwnKernel(
  policy: OwnPolicy,
  { memoryBytes, ...options }: { readonly memoryBytes?: number } & KernelOptions,
): Kernel {
  const kernel = new Kernel({ memoryBytes, mte: isTagged(policy) }, { ...policy.kernel, ...options });
  installRefpage(kernel);
  policy.install?.(kernel);
  return kernel;
}

export function makeOwnHeap({ heap = {}, mapPattern }: OwnPolicy, kernel: Kernel, seed: number): Heap {
  const fill = heap.fill ?? (mapPattern === undefined ? undefined : "pattern");
  return new Heap({ ...heap, fill, mapPattern, kernel, seed, write: () => {} });
}

function isTagged({ heap }: OwnPolicy): boolean {
  return heap?.tagging !== undefined && heap.tagging !== "off";
}
