// The `folios` of an observation: which pages of the window are parts of large folios, and of which.
import { PAGE_SIZE, PTE_FRAME_SHIFT, PTE_PRESENT } from "../../../platform/hardware/layout.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import type { FolioRow } from "../script.ts";
import { WINDOW_BASE } from "../world.ts";

const FIRST_PAGE = WINDOW_BASE / PAGE_SIZE;

/** The rows of the window, or undefined if no large folio is mapped by small entries in it. */
export function foliosOf(
  { addressSpace: { pageTable, kernel } }: Process,
  windowBytes: number,
): FolioRow[] | undefined {
  const { frames } = kernel;
  const end = FIRST_PAGE + windowBytes / PAGE_SIZE;
  const ids = new Map<number, number>();
  const runs: [page: number, n: number, id: number, index: number, size: number][] = [];
  for (let page = pageTable.next(FIRST_PAGE, end); page < end; page = pageTable.next(page + 1, end)) {
    const entry = pageTable.entryOf(page);
    const frame = entry >>> PTE_FRAME_SHIFT;
    if ((entry & PTE_PRESENT) === 0 || pageTable.isHuge(page) || !frames.isInFolio(frame)) continue;
    const head = frames.headOf(frame);
    const id = ids.get(head) ?? ids.size;
    ids.set(head, id);
    const index = frame - head;
    const last = runs.at(-1);
    const at = page - FIRST_PAGE;
    if (last !== undefined && last[0] + last[1] === at && last[2] === id && last[3] + last[1] === index) last[1]++;
    else runs.push([at, 1, id, index, frames.folios.sizeOf(head)]);
  }
  return runs.length === 0 ? undefined : joinWhole(runs);
}

/** Whole folios of one size in a row, with ascending ids, are one row. */
function joinWhole(runs: readonly FolioRow[]): FolioRow[] {
  const rows: FolioRow[] = [];
  for (const run of runs) {
    const last = rows.at(-1);
    if (last !== undefined && isWhole(last) && isWhole(run) && follows(last, run)) {
      rows[rows.length - 1] = [last[0], last[1] + run[1], last[2], 0, last[4]];
    } else rows.push(run);
  }
  return rows;
}

function isWhole([, n, , index, size]: FolioRow): boolean {
  return index === 0 && n % size === 0;
}

function follows([page, n, id, , size]: FolioRow, [nextPage, , nextId, , nextSize]: FolioRow): boolean {
  return page + n === nextPage && size === nextSize && id + n / size === nextId;
}
