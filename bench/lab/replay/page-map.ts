// A page map over time, small enough for a picture: rows of address ranges, columns of moments, shares of four kinds.
// Scans come from page-scan.ts; drawing is the report's.
import { type BlockPages, MAP_BLOCK_PAGES } from "./page-scan.ts";
import type { ScanSample } from "./sampler.ts";

const MAX_ROWS = 64;
/** Numbers that a row has for each column. */
export const KINDS = 4;
const PAGE_BYTES = 4096;

export interface PageMap {
  /** Operations at which the columns were taken. */
  readonly operations: readonly number[];
  /** First address of each row; ranges where nothing was ever mapped are left out. */
  readonly addresses: readonly number[];
  readonly rowBytes: number;
  /** Row by row, for each column four numbers: private pages, zero and clean ones, and private pages that huge entries map. */
  readonly pages: readonly (readonly number[])[];
}

/** Merges neighbouring 2 MiB blocks until at most 64 rows are left. */
export function pageMap(scans: readonly ScanSample[]): PageMap {
  let blocksPerRow = 1;
  let rows = rowsOf(scans, blocksPerRow);
  while (rows.length > MAX_ROWS) {
    blocksPerRow *= 2;
    rows = rowsOf(scans, blocksPerRow);
  }
  const rowIndex = new Map(rows.map((row, index) => [row, index]));
  const pages = rows.map(() => new Array<number>(scans.length * KINDS).fill(0));
  scans.forEach(({ scan }, column) => {
    for (const [block, counts] of scan.blocks) {
      addTo(pages[rowIndex.get(Math.floor(block / blocksPerRow))!], column * KINDS, counts);
    }
  });
  const rowBytes = blocksPerRow * MAP_BLOCK_PAGES * PAGE_BYTES;
  return {
    operations: scans.map(({ operation }) => operation),
    addresses: rows.map((row) => row * rowBytes),
    rowBytes,
    pages,
  };
}

function rowsOf(scans: readonly ScanSample[], blocksPerRow: number): number[] {
  const rows = new Set<number>();
  for (const { scan } of scans) for (const block of scan.blocks.keys()) rows.add(Math.floor(block / blocksPerRow));
  return [...rows].sort((a, b) => a - b);
}

function addTo(row: number[], at: number, counts: BlockPages): void {
  row[at] += counts.private;
  row[at + 1] += counts.zero;
  row[at + 2] += counts.clean;
  row[at + 3] += counts.huge;
}
