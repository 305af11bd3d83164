// The page map as a picture: rows are address ranges, columns moments, colours what the pages are.
// Scans become maps in bench/lab/replay/page-map.ts.
import * as Plot from "@observablehq/plot";
import { KINDS, type PageMap } from "../replay/page-map.ts";
import { drawPlot, type WidthName } from "./plot.ts";

const ROW_HEIGHT = 8;
const AXIS_HEIGHT = 64;
const BOTTOM_MARGIN = 44;
const STRENGTH_STEPS = 4;

/** Kinds differ in the height of their bars as well as in colour: all of a row, the lower half, a line. */
const INSET_TOP: Readonly<Record<string, number>> = {
  private: 0,
  huge: 0,
  clean: ROW_HEIGHT / 2,
  zero: ROW_HEIGHT - 3,
};

/** What a load of a page sees, with the colour of the map; `huge`: private pages that a huge entry maps. */
export const PAGE_KINDS: readonly (readonly [string, string])[] = [
  ["private", "#d55e00"],
  ["zero", "#56b4e9"],
  ["clean", "#009e73"],
  ["huge", "#5b3b8c"],
];

interface Cell {
  readonly row: number;
  readonly from: number;
  to: number;
  readonly kind: string;
  /** Share of private pages in quarters; all four for ranges without any, which their height tells apart. */
  readonly strength: number;
}

/**
 * A range with private pages has their colour, that of most of them, the fuller the more there are; without, that of its clean or
 * zero pages.
 */
export function pageMapChart(map: PageMap, width: WidthName): string {
  const cells = mapCells(map);
  const options: Plot.PlotOptions = {
    height: Math.max(40, map.addresses.length * ROW_HEIGHT) + AXIS_HEIGHT,
    marginLeft: 8,
    marginBottom: BOTTOM_MARGIN,
    x: { label: "operation →", labelOffset: BOTTOM_MARGIN - 6, tickFormat: "~s" },
    y: { axis: null, type: "band", domain: map.addresses.map((_, index) => index), padding: 0.1 },
    color: { domain: PAGE_KINDS.map(([kind]) => kind), range: PAGE_KINDS.map(([, colour]) => colour) },
    marks: PAGE_KINDS.map(([kind]) =>
      Plot.barX(
        cells.filter((cell) => cell.kind === kind),
        {
          x1: "from",
          x2: "to",
          y: "row",
          fill: "kind",
          fillOpacity: (cell: Cell) => cell.strength / STRENGTH_STEPS,
          insetTop: INSET_TOP[kind],
        },
      ),
    ),
  };
  return drawPlot(
    options,
    width,
    `Page map: address ranges from top to bottom, operations from left to right. ${pageMapText(map)}`,
  );
}

/** The last moment in words. */
export function pageMapText(map: PageMap): string {
  const column = map.operations.length - 1;
  if (column < 0) return "Nothing was mapped.";
  const totals = PAGE_KINDS.map(() => 0);
  for (const row of map.pages) for (let kind = 0; kind < KINDS; kind++) totals[kind] += row[column * KINDS + kind];
  return `At the end: ${totals.map((count, kind) => `${count} ${PAGE_KINDS[kind][0]}`).join(", ")} pages.`;
}

/** Neighbouring moments that look alike become one cell. */
function mapCells(map: PageMap): Cell[] {
  const cells: Cell[] = [];
  const { operations } = map;
  map.pages.forEach((row, rowIndex) => {
    let last: Cell | null = null;
    for (let column = 0; column < operations.length; column++) {
      const [small, zero, clean, huge] = row.slice(column * KINDS, (column + 1) * KINDS);
      const privatePages = small + huge;
      const total = privatePages + zero + clean;
      if (total === 0) {
        last = null;
        continue;
      }
      const kind = privatePages > 0 ? (huge >= small ? "huge" : "private") : clean > 0 ? "clean" : "zero";
      const strength = privatePages > 0 ? Math.ceil((STRENGTH_STEPS * privatePages) / total) : STRENGTH_STEPS;
      const to = columnEnd(operations, column);
      if (last !== null && last.kind === kind && last.strength === strength) {
        last.to = to;
      } else {
        last = { row: rowIndex, from: operations[column], to, kind, strength };
        cells.push(last);
      }
    }
  });
  return cells;
}

/** A moment lasts until the next one; the last as long as the one before it. */
function columnEnd(operations: readonly number[], column: number): number {
  if (column + 1 < operations.length) return operations[column + 1];
  const before = column > 0 ? operations[column] - operations[column - 1] : 1;
  return operations[column] + Math.max(1, before);
}
