// The reference pages of one kernel: their frames, charges and, on request, one frame for equal contents (R11, R12).

import type { FrameNumber } from "../platform/hardware/integers.ts";
import { PAGE_SIZE } from "../platform/hardware/layout.ts";
import { type PhysicalMemory, VALIDITY_BYTES_PER_FRAME } from "../platform/hardware/physical-memory.ts";
import { uniformTag } from "../platform/hardware/tag-store.ts";
import type { Kernel } from "../platform/kernel/kernel.ts";
import type { MemoryCgroup } from "../platform/kernel/mm/cgroup.ts";
import { keepClass, keepMaker } from "../platform/state/kept.ts";
import type { Content } from "./content.ts";
import { ReferencePage } from "./file.ts";
import { HugeReferencePage, type HugeReferencePages } from "./huge.ts";

/** A character a byte, so that bytes can be part of a key. */
const latin1 = new TextDecoder("latin1");

interface StoreOptions {
  readonly share: boolean;
  readonly huge: HugeReferencePages;
}

/** The frames that reference pages hold, for the kernel's invariants. */
const framesOf = keepMaker(
  "refpage.framesOf",
  (pages: ReadonlySet<ReferencePage>) => () => [...pages].flatMap(({ frame, huge }) => [frame, ...(huge?.held ?? [])]),
);

export class ReferencePageStore {
  readonly kernel: Kernel;
  private readonly share: boolean;
  /** Pages by content, when equal contents share one; the key holds data, tags and kind. */
  private readonly shared = new Map<string, ReferencePage>();
  private readonly pages = new Set<ReferencePage>();
  /** The frames of all pages, for checkInvariants. */
  readonly heldFrames: () => Iterable<FrameNumber>;
  private readonly hugePolicy: HugeReferencePages;

  constructor(kernel: Kernel, { share, huge }: StoreOptions) {
    this.kernel = kernel;
    this.share = share;
    this.hugePolicy = huge;
    this.heldFrames = framesOf(this.pages);
  }

  /** Reference pages that exist. */
  get count(): number {
    return this.pages.size;
  }

  /**
   * The page for `frame`'s content; takes the caller's reference to the frame over, or gives it back for an equal page's. `cgroup`
   * pays for the huge form, which pages of the second ABI (2) may have.
   */
  adopt(frame: FrameNumber, content: Content, abi: 1 | 2, cgroup: MemoryCgroup | null): ReferencePage {
    const hasHuge = abi === 2 && this.hugePolicy !== "small";
    const key = this.share ? `${hasHuge}:${this.keyOf(frame, content)}` : "";
    const equal = this.share ? this.shared.get(key) : undefined;
    if (equal !== undefined) {
      equal.holders++;
      this.kernel.frames.put(frame);
      return equal;
    }
    const page = new ReferencePage(frame, content, this.kernel.machine.gzvaBlockBytes);
    if (hasHuge) page.huge = new HugeReferencePage(this.kernel.frames, page, this.hugePolicy, cgroup);
    if (this.share) this.shared.set(key, page);
    this.pages.add(page);
    return page;
  }

  /** One holder less; the last gives the frame back and uncharges it. */
  release(page: ReferencePage): void {
    if (--page.holders > 0) return;
    if (this.share) this.shared.delete(`${page.huge !== undefined}:${this.keyOf(page.frame, page.content)}`);
    this.pages.delete(page);
    page.huge?.release();
    this.kernel.frames.put(page.frame);
  }

  private keyOf(frame: FrameNumber, { kind, period }: Content): string {
    const { ram } = this.kernel.machine;
    const start = ram.positionOf(frame);
    const data = latin1.decode(ram.bankOf(frame).subarray(start, start + PAGE_SIZE));
    const tag = uniformTag(ram, frame);
    let tags = String(tag);
    if (tag === -1) for (let granule = 0; granule < PAGE_SIZE / 16; granule++) tags += `,${ram.getTag(frame, granule)}`;
    return `${kind}:${period}:${tags}:${validityKey(ram, frame)}:${data}`;
  }
}

/** The frame's validity bits as text; nothing on a machine without them. */
function validityKey(ram: PhysicalMemory, frame: FrameNumber): string {
  const start = frame * VALIDITY_BYTES_PER_FRAME;
  return latin1.decode(ram.undefinedBits.subarray(start, start + VALIDITY_BYTES_PER_FRAME));
}

keepClass("ReferencePageStore", ReferencePageStore);
