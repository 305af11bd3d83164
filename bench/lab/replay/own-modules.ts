// What "refheap" and "refheap/kernel" are for modules that a user loads into the command: the very copies that the command runs on.
// A second copy of a class would be another class, and a policy must work where the package is not installed beside it.
import { existsSync } from "node:fs";
import * as nodeModule from "node:module";

/** In the bundle, entries beside the command; in the plain build, the library's own files. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  refheap: ["./refheap.js", "../../../allocator/index.js"],
  "refheap/kernel": ["./refheap-kernel.js", "../../../refpage/index.js"],
};

/** Hooks for Node before 22.15, which run in a thread of their own and so are text. */
const ASYNC_HOOKS = `let known;
export async function initialize(data) { known = data; }
export async function resolve(specifier, context, next) {
  return Object.hasOwn(known, specifier) ? { url: known[specifier], shortCircuit: true } : next(specifier, context);
}`;

interface ResolveHooks {
  resolve(specifier: string, context: unknown, next: (specifier: string, context: unknown) => unknown): unknown;
}

let isOffered = false;

/** From now on modules of this thread that import the package get the command's own copies. Does nothing the second time. */
export function offerLibrary(): void {
  if (isOffered) return;
  isOffered = true;
  const known: Record<string, string> = {};
  for (const [name, places] of Object.entries(PLACES)) {
    const found = places.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
    if (found !== undefined) known[name] = found.href;
  }
  const { register, registerHooks } = nodeModule as typeof nodeModule & {
    readonly registerHooks?: (hooks: ResolveHooks) => void;
  };
  if (registerHooks === undefined) {
    register(`data:text/javascript,${encodeURIComponent(ASYNC_HOOKS)}`, { data: known });
    return;
  }
  registerHooks({
    resolve: (specifier, context, next) =>
      Object.hasOwn(known, specifier) ? { url: known[specifier], shortCircuit: true } : next(specifier, context),
  });
}
