// C's functions whose arguments say all that they access, memcpy and memset and their like: what one is asked for is looked at when it
// begins, and what it then does by words and bytes is the same mistake, no finding of its own. This tells which accesses are so.
// The check at the begin is rewriting/address-pass.ts's.

import type { Address, ByteCount } from "../../../platform/hardware/integers.ts";
import { capturePlaces, type Places } from "../../../platform/host/stack.ts";
import { I32 } from "../binary/instructions.ts";
import { type Module, typeOfFunction } from "../binary/module.ts";
import type { Names } from "../binary/names.ts";
import type { WholeKind } from "../rewriting/helpers.ts";
import type { Rewritten } from "../rewriting/rewriter.ts";

/** Frames in which calls are told apart. */
const FRAMES = 16;

/** (to, from, count), or (to, value, count); a pointer comes back. */
const NAMES: ReadonlyMap<string, WholeKind> = new Map([
  ["memcpy", "copy"],
  ["memmove", "copy"],
  ["mempcpy", "copy"],
  ["__memcpy", "copy"],
  ["__memmove", "copy"],
  ["memset", "fill"],
  ["__memset", "fill"],
]);

export function findWholeFunctions(module: Module, names: Names): ReadonlyMap<number, WholeKind> {
  const found = new Map<number, WholeKind>();
  for (const [index, name] of names.functions) {
    const kind = NAMES.get(name);
    if (kind === undefined || index < module.importedFunctions || index >= module.functionTypes.length) continue;
    const { params, results } = typeOfFunction(module, index);
    if (params.length === 3 && results.length === 1 && params.every((type) => type === I32)) found.set(index, kind);
  }
  return found;
}

type Rewriting = Pick<Rewritten, "module" | "bodyStart" | "bodiesEnd" | "wholeFunctions">;

/** Where the program is, seen from a function of these: its own place, and those of its callers, the nearest first. */
interface Call {
  readonly place: number;
  readonly callers: readonly number[];
}

/** What was reported last of what a call is asked for. */
interface Reported extends Call {
  readonly address: Address;
  readonly end: Address;
}

export class WholeCalls {
  /** By the engine's name for the module. */
  private readonly modules = new Map<string, Rewriting>();
  private readonly reported: Record<"load" | "store", Reported | null> = { load: null, store: null };

  addModule(url: string, rewritten: Rewriting): void {
    if (rewritten.wholeFunctions.size > 0) this.modules.set(url, rewritten);
  }

  /** A range is about to be reported: what a call is asked for, or what an instruction copies. */
  note(operation: "load" | "store", address: Address, size: ByteCount): void {
    const call = this.modules.size === 0 ? null : this.call();
    this.reported[operation] = call && { ...call, address, end: address + size };
  }

  /** Whether an access is a part of what was noted last: within the same bytes, and at another place of the same call. */
  isPart(operation: "load" | "store", address: Address, size: ByteCount): boolean {
    const reported = this.reported[operation];
    if (reported === null || address < reported.address || address + size > reported.end) return false;
    const call = this.call();
    // The same place is that of the check: the function is called once more.
    return call !== null && call.place !== reported.place && isSameWay(call.callers, reported.callers);
  }

  /** The call of such a function that the program is in, or null. One that another one of them calls is a part of that. */
  private call(): Call | null {
    const places = capturePlaces(FRAMES);
    const { files, positions } = places;
    let frame = files.findIndex((file) => this.modules.has(file));
    while (frame >= 0 && this.isAdded(places, frame)) frame++;
    if (frame < 0 || !this.isWhole(places, frame)) return null;
    const place = positions[frame];
    while (this.isWhole(places, frame)) frame++;
    return { place, callers: positions.slice(frame) };
  }

  /** Whether a frame is of a function that was added to a module. */
  private isAdded({ files, positions }: Places, frame: number): boolean {
    const rewritten = this.modules.get(files[frame]);
    return rewritten !== undefined && positions[frame] >= rewritten.bodiesEnd;
  }

  private isWhole({ files, positions }: Places, frame: number): boolean {
    const rewritten = this.modules.get(files[frame]);
    if (rewritten === undefined || positions[frame] >= rewritten.bodiesEnd) return false;
    const body = rewritten.bodyStart.findLastIndex((start) => start <= positions[frame]);
    return rewritten.wholeFunctions.has(rewritten.module.importedFunctions + body);
  }
}

/** Of two ways to the same functions, one may be cut off earlier. */
function isSameWay(one: readonly number[], other: readonly number[]): boolean {
  const shared = Math.min(one.length, other.length);
  for (let i = 0; i < shared; i++) if (one[i] !== other[i]) return false;
  return true;
}
