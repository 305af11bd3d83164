// How a guest's memory looks from JavaScript. It is the engine's own object, as node:wasi and glue need it, but longer than the guest
// knows: its `buffer` also has what lies above the guest's limit, never changes and is never detached, and `grow` asks the guest.

import { type EngineMemory, engine, type MemoryDescriptor } from "../../../platform/host/engine.ts";
import type { Limits } from "../binary/module.ts";
import { ModuleError } from "../binary/module-error.ts";
import { DEFAULT_LIMIT, type Layout, makeLayout, WASM_PAGE } from "../rewriting/layout.ts";
import type { Compiled, ModuleOptions } from "./compile.ts";
import { Guest, makeMemory } from "./guest.ts";

/** A memory that was made for a guest, which modules may import. */
interface Prepared {
  readonly layout: Layout;
  /** `initial` grows with the memory until the guest is there, which knows from then on. */
  readonly descriptor: MemoryDescriptor;
  guest: Guest | null;
}

const prepared = new WeakMap<object, Prepared>();

/** The memory of a module that has its own: others may import it when it is exported. */
export function presentOwnMemory(guest: Guest, { minimum, maximum }: Limits): void {
  const descriptor = maximum === null ? { initial: minimum } : { initial: minimum, maximum };
  prepared.set(guest.memory, { layout: guest.layout, descriptor, guest });
  presentMemory(guest);
}

/** Makes `grow` of the guest's memory object the guest's. */
function presentMemory(guest: Guest): void {
  Object.defineProperty(guest.memory, "grow", {
    configurable: true,
    value: (delta: number) => growFromHost(guest, Number(delta)),
  });
}

/**
 * Glue that wants a size takes the buffer's length, which is all there is, from it: so a difference that is not positive means
 * pages from the buffer's end.
 * @throws RangeError: the guest's memory cannot grow so far
 */
function growFromHost(guest: Guest, delta: number): number {
  if (!Number.isFinite(delta)) throw new TypeError(`grow: ${delta} is no number of pages`);
  const before = guest.pages;
  const wanted = delta > 0 ? before + delta : delta === 0 ? before : guest.layout.totalPages + delta;
  if (wanted > before && guest.grow(wanted - before) < 0)
    throw new RangeError(`WebAssembly.Memory.grow(): ${wanted} pages are more than the guest's memory may have`);
  return before;
}

/** What a memory and the modules that import it must have the same. */
export type MemoryOptions = Pick<ModuleOptions, "memoryBytes" | "uninitialised" | "trackOrigins">;

/**
 * Stands in for `new WebAssembly.Memory`, for modules that import their memory.
 * @throws RangeError, TypeError as the engine's; ModuleError unsupported: a shared memory
 */
export function createMemory(
  descriptor: MemoryDescriptor,
  { memoryBytes = DEFAULT_LIMIT, uninitialised = "off", trackOrigins = false }: MemoryOptions,
): EngineMemory {
  if (descriptor?.shared === true) throw new ModuleError("unsupported", "threads (a shared memory)");
  // The engine's own checks, on a memory that is thrown away.
  new engine.Memory(descriptor);
  const layout = makeLayout(memoryBytes, {
    validity: uninitialised === "byte",
    origins: trackOrigins,
    initialPages: descriptor.initial,
  });
  const memory = makeMemory(layout);
  const own = { ...descriptor };
  prepared.set(memory, { layout, descriptor: own, guest: null });
  Object.defineProperty(memory, "grow", {
    configurable: true,
    value: (delta: number) => growUnused(own, layout, Number(delta)),
  });
  return memory;
}

/** Growth before any module has the memory. @throws RangeError */
function growUnused(descriptor: MemoryDescriptor, layout: Layout, delta: number): number {
  const before = descriptor.initial;
  const wanted = delta >= 0 ? before + delta : layout.totalPages + delta;
  const most = Math.min(descriptor.maximum ?? Number.POSITIVE_INFINITY, layout.limitBytes / WASM_PAGE);
  if (!(wanted <= most)) throw new RangeError(`WebAssembly.Memory.grow(): ${wanted} pages are more than ${most}`);
  descriptor.initial = Math.max(before, wanted);
  return before;
}

/** A guest as the module's options say, on an engine's memory of the layout. */
export function makeGuest(
  { nullBytes, heap, options }: Compiled,
  layout: Layout,
  { minimum, maximum }: Limits,
  memory: EngineMemory,
): Guest {
  const { initialisation = "plumbed", invalidFree = "throw" } = options;
  return new Guest(
    {
      layout,
      initialPages: minimum,
      maximumPages: maximum,
      nullBytes,
      heap,
      initialisation,
      invalidFree,
      throwsMismatches: options.heap?.deallocTypeMismatch === true && invalidFree !== "report",
    },
    memory,
  );
}

/** The guest behind a memory that a module imports. @throws LinkError, ModuleError memory */
export function guestOfMemory(memory: unknown, compiled: Compiled, name: string): Guest {
  const found = memory !== null && typeof memory === "object" ? prepared.get(memory) : undefined;
  if (found === undefined) {
    if (!(memory instanceof engine.Memory))
      throw new engine.LinkError(
        `WebAssembly.Instance(): Import ${name}: memory import must be a WebAssembly.Memory object`,
      );
    throw new ModuleError(
      "memory",
      `the memory ${name} was made by the engine; make it by createMemory() of refheap/wasm, or under intercept()`,
    );
  }
  const { layout, descriptor } = found;
  checkLimits({ ...descriptor, initial: found.guest?.pages ?? descriptor.initial }, compiled, name);
  if (layout.shadowBase !== compiled.layout.shadowBase)
    throw new ModuleError(
      "memory",
      `the memory ${name} was made with other memoryBytes, another uninitialised or trackOrigins, than the module`,
    );
  if (found.guest === null) {
    const { initial, maximum = null } = descriptor;
    found.guest = makeGuest(compiled, layout, { minimum: initial, maximum }, memory as EngineMemory);
    presentMemory(found.guest);
  }
  return found.guest;
}

function checkLimits({ initial, maximum }: MemoryDescriptor, { module }: Compiled, name: string): void {
  const wanted = module.memory!;
  if (initial < wanted.minimum)
    throw new engine.LinkError(
      `WebAssembly.Instance(): Import ${name}: memory has ${initial} pages, ${wanted.minimum} are needed`,
    );
  if (wanted.maximum !== null && (maximum === undefined || maximum > wanted.maximum))
    throw new engine.LinkError(
      `WebAssembly.Instance(): Import ${name}: memory has a larger maximum than ${wanted.maximum}`,
    );
}
