// The picture of docs/performance.md: time a call against the number of live chunks, for each allocator.
// Written by `npm run bench -- malloc --svg FILE`, from the figures of that run.
import * as Plot from "@observablehq/plot";
import { summarise } from "../harness/statistics.ts";
import { colourOf, dashesOf, drawPictureFile } from "../lab/report/plot.ts";
import type { Measured } from "./runner.ts";

const LIVE = /^replace, (\d+) live$/;
/** Names whose lines end nearer to one another than this, as a factor, are moved apart. */
const NEAREST = 1.2;

interface Point {
  readonly subject: string;
  readonly live: number;
  readonly nanoseconds: number;
}

/** Where names stand beside the ends of their lines, from the lowest up, none on another. */
function namePlaces(ends: readonly Point[]): Point[] {
  const places: Point[] = [];
  for (const end of [...ends].sort((a, b) => a.live - b.live || a.nanoseconds - b.nanoseconds)) {
    const below = places.at(-1);
    const least = below?.live === end.live ? below.nanoseconds * NEAREST : 0;
    places.push({ ...end, nanoseconds: Math.max(end.nanoseconds, least) });
  }
  return places;
}

export function growthPicture(rows: readonly Measured[]): string {
  const points: Point[] = rows.flatMap(({ subject, workload, nanoseconds }) => {
    const live = LIVE.exec(workload)?.[1];
    return live === undefined ? [] : [{ subject, live: Number(live), nanoseconds: summarise(nanoseconds).median }];
  });
  const names = [...new Set(points.map(({ subject }) => subject))];
  const ends = names.flatMap((name) => points.findLast(({ subject }) => subject === name) ?? []);
  return drawPictureFile(
    {
      height: 460,
      marginRight: 170,
      x: { label: "live chunks →", type: "log", labelAnchor: "center" },
      y: { label: "↑ time a call, ns", type: "log", grid: true },
      color: { domain: names, range: names.map((_, index) => colourOf(index)) },
      marks: [
        ...names.map((name, index) =>
          Plot.lineY(
            points.filter(({ subject }) => subject === name),
            { x: "live", y: "nanoseconds", stroke: "subject", strokeWidth: 2, strokeDasharray: dashesOf(index) },
          ),
        ),
        Plot.dot(points, { x: "live", y: "nanoseconds", fill: "subject", r: 3 }),
        Plot.text(namePlaces(ends), {
          x: "live",
          y: "nanoseconds",
          text: "subject",
          fill: "subject",
          textAnchor: "start",
          dx: 8,
        }),
      ],
    },
    "Time of replacing one of the live chunks, by their number, for each allocator",
  );
}
