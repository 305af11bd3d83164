// The part of the invariants that is about large folios: how often each is mapped, huge and small, and held.
// Single frames, areas and page tables are invariants.ts.
import type { FrameNumber } from "../hardware/integers.ts";
import type { FrameAllocator } from "./mm/frames.ts";

/**
 * Holds the counts of every large folio against what was found: small entries and references by frame, huge entries by a folio's
 * first frame. @throws Error naming the first broken rule.
 */
export function checkFolios(
  frames: FrameAllocator,
  mapCounts: Int32Array,
  hugeCounts: ReadonlyMap<number, number>,
  references: Int32Array,
): void {
  for (const head of hugeCounts.keys()) {
    if (!frames.isInFolio(head)) throw new Error(`a huge entry maps frame ${head}, which is no large folio`);
  }
  for (let head = 0; head < frames.frameCount; head++) {
    if (!isHead(frames, head)) continue;
    const { folios } = frames;
    const size = folios.sizeOf(head);
    const huge = hugeCounts.get(head) ?? 0;
    let small = 0;
    let held = huge;
    for (let frame = head; frame < head + size; frame++) {
      if (folios.headOf(frame) !== head || !frames.isInFolio(frame))
        throw new Error(`frame ${frame} lies in the folio of frame ${head} but is no part of it`);
      if (frames.exclusive[frame] === 1 && mapCounts[frame] + huge > 1)
        throw new Error(`frame ${frame} is exclusive but mapped ${mapCounts[frame] + huge} times`);
      small += mapCounts[frame];
      held += references[frame];
    }
    const counts: readonly (readonly [string, number, number])[] = [
      ["huge entries", huge, folios.entire(head)],
      ["entries", huge + small, folios.mappings(head)],
      ["references", held, folios.references(head)],
    ];
    for (const [name, found, counted] of counts) {
      if (found !== counted) throw new Error(`the folio of frame ${head} has ${found} ${name} but counts ${counted}`);
    }
  }
}

/** Whether a folio in use starts at `frame`. */
function isHead(frames: FrameAllocator, frame: FrameNumber): boolean {
  return frames.isInFolio(frame) && frames.folios.headOf(frame) === frame && frames.folios.references(frame) > 0;
}
