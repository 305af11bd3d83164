// A heap's switch for tagging: turns it on for the process, changes the mode while it runs, off for good (S22.1, S23.5).
// The tags themselves are in tagged-allocator.ts and tagged-secondary.ts.

import type { Process } from "../../platform/kernel/process.ts";
import type { ChunkStacks } from "../common/heap-error.ts";
import type { StackTable } from "../common/stacks.ts";
import type { ResolvedHeapOptions, Tagging } from "../options/options.ts";
import { TagWatch } from "./tag-watch.ts";
import type { TaggedAllocator } from "./tagged-allocator.ts";
import type { LargeTagCounts } from "./tagged-secondary.ts";
import { setCheckMode, TAG_UNIT } from "./tagging.ts";

export interface TagControlSources {
  readonly process: Process;
  readonly allocator: TaggedAllocator;
  readonly options: ResolvedHeapOptions;
  readonly stackTable: StackTable | null;
  /** One sentence about an address of the heap. */
  placeOf(address: number): string;
}

export class TagControl {
  private readonly sources: TagControlSources;
  private readonly watch: TagWatch;
  private current: Tagging;

  /** @param mode what the process has already if the heap was forked; else it is set now */
  constructor(sources: TagControlSources, mode: Tagging, { isForked }: { readonly isForked: boolean }) {
    const { process, allocator, options, stackTable, placeOf } = sources;
    this.sources = sources;
    this.current = mode;
    if (!isForked) setCheckMode(process, mode);
    const stacksOf = (pointer: number): ChunkStacks | null => stackTable?.stacksOf(pointer) ?? null;
    this.watch = new TagWatch({ process, allocator, stacksOf, placeOf, onReport: options.onReport });
  }

  get mode(): Tagging {
    return this.current;
  }

  /**
   * Changes what a mismatch does from now on, in every thread. `"off"` is for good.
   * @throws RangeError: tagging was switched off before
   */
  setMode(mode: Tagging): void {
    if (mode === this.current) return;
    if (this.current === "off")
      throw new RangeError(`tagging: "${mode}" after "off": tagging cannot be switched on again`);
    setCheckMode(this.sources.process, mode);
    this.current = mode;
    if (mode !== "off") return;
    this.sources.allocator.stopTagging();
    this.watch.stop();
  }

  /** How large chunks got their tags, and how often they could not. */
  get counts(): LargeTagCounts {
    return this.sources.allocator.secondary.tagCounts;
  }

  /** The handler goes; the process's mode stays for whoever else is in it. */
  end(): void {
    if (this.current !== "off") this.watch.stop();
  }
}

/** The stacks of the chunk at a plain address, whatever tag its pointer had: of the live one first. */
export function stacksOfAnyTag(table: StackTable, allocator: TaggedAllocator, plain: number): ChunkStacks | null {
  const live = table.stacksOf(allocator.userPointer(plain));
  if (live !== null) return live;
  for (let tag = 0; tag < 16; tag++) {
    const found = table.stacksOf(plain + tag * TAG_UNIT);
    if (found !== null) return found;
  }
  return null;
}
