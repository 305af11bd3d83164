// A heap's switch for tagging: turns it on for the process, changes the mode while it runs, ends it (S22.1, S23.5).
// The tags themselves are in tagged-allocator.ts and tagged-secondary.ts.

import type { Address } from "../../platform/hardware/integers.ts";
import { TAG_UNIT } from "../../platform/hardware/layout.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { SignalInfo } from "../../platform/kernel/signals.ts";
import { keepClass, keepMaker } from "../../platform/state/kept.ts";
import type { ChunkStacks } from "../common/heap-error.ts";
import type { ChunkTraces } from "../common/stacks.ts";
import type { ResolvedHeapOptions, Tagging } from "../options/options.ts";
import { type FaultReporter, ProcessTags } from "./process-tags.ts";
import { TagWatch } from "./tag-watch.ts";
import type { TaggedAllocator } from "./tagged-allocator.ts";
import type { LargeTagCounts } from "./tagged-secondary.ts";

export interface TagControlSources {
  readonly process: Process;
  readonly allocator: TaggedAllocator;
  readonly options: ResolvedHeapOptions;
  readonly stackTable: ChunkTraces | null;
  /** One sentence about an address of the heap. */
  placeOf(address: Address): string;
}

export class TagControl implements FaultReporter {
  private readonly sources: TagControlSources;
  private readonly watch: TagWatch;
  private readonly tags: ProcessTags;
  isOff = false;

  /** @param inherited the switch of the heap that was forked: its process's mode is this one's; without it the mode is set now */
  constructor(sources: TagControlSources, inherited: TagControl | null) {
    const { process, allocator, options, stackTable, placeOf } = sources;
    this.sources = sources;
    this.tags = ProcessTags.of(process, inherited?.tags.mode ?? "off");
    this.watch = new TagWatch({ allocator, stacksOf: stacksIn(stackTable), placeOf, onReport: options.onReport });
    if (inherited?.isOff) this.switchOff();
    if (inherited === null) this.tags.setMode(options.tagging);
    if (this.tags.mode !== "off") this.tags.add(this);
  }

  get mode(): Tagging {
    return this.isOff ? "off" : this.tags.mode;
  }

  /**
   * Changes what a mismatch does from now on, in every thread. `"off"` is final, and this heap's alone: the process's checks go on
   * while another heap has tags.
   * @throws RangeError: tagging was switched off before
   */
  setMode(mode: Tagging): void {
    if (mode === this.mode) return;
    if (this.isOff) throw new RangeError(`tagging: "${mode}" after "off": tagging cannot be switched on again`);
    if (mode !== "off") {
      this.tags.setMode(mode);
      return;
    }
    this.switchOff();
    this.tags.switchedOff();
  }

  private switchOff(): void {
    this.isOff = true;
    this.sources.allocator.stopTagging();
    this.watch.stop();
  }

  reportFault(info: SignalInfo): void {
    this.watch.reportFault(info);
  }

  /** How large chunks got their tags, and how often they could not. */
  get counts(): LargeTagCounts {
    return this.sources.allocator.secondary.tagCounts;
  }

  /** The heap has no part in the process's faults any more; the mode stays for whoever else is in it. */
  end(): void {
    this.watch.stop();
    this.tags.remove(this);
  }
}

/** The stacks of the chunk at a plain address, of any tag: of the live one first. */
export function stacksOfAnyTag(table: ChunkTraces, allocator: TaggedAllocator, plain: Address): ChunkStacks | null {
  const live = table.stacksOf(allocator.userPointer(plain));
  if (live !== null) return live;
  for (let tag = 0; tag < 16; tag++) {
    const found = table.stacksOf(plain + tag * TAG_UNIT);
    if (found !== null) return found;
  }
  return null;
}

keepClass("TagControl", TagControl);

const stacksIn = keepMaker(
  "tags.stacksIn",
  (table: ChunkTraces | null) =>
    (pointer: Address): ChunkStacks | null =>
      table?.stacksOf(pointer) ?? null,
);
