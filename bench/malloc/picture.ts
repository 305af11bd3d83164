// The picture of docs/performance.md: time a call against the number of live chunks, for each allocator.
// Written by `npm run bench -- malloc --svg FILE`, from the figures of that run.
import * as Plot from "@observablehq/plot";
import { summarise } from "../harness/statistics.ts";
import { colourOf, drawPictureFile } from "../lab/report/plot.ts";
import type { Measured } from "./runner.ts";

const LIVE = /^replace, (\d+) live$/;

export function growthPicture(rows: readonly Measured[]): string {
  const points = rows.flatMap(({ subject, workload, nanoseconds }) => {
    const live = LIVE.exec(workload)?.[1];
    return live === undefined ? [] : [{ subject, live: Number(live), nanoseconds: summarise(nanoseconds).median }];
  });
  const names = [...new Set(points.map(({ subject }) => subject))];
  const ends = names.map((name) => points.findLast(({ subject }) => subject === name));
  return drawPictureFile(
    {
      height: 460,
      marginRight: 170,
      x: { label: "live chunks →", type: "log", labelAnchor: "center" },
      y: { label: "↑ time a call, ns", type: "log", grid: true },
      color: { domain: names, range: names.map((_, index) => colourOf(index)) },
      marks: [
        Plot.lineY(points, { x: "live", y: "nanoseconds", stroke: "subject", strokeWidth: 2 }),
        Plot.dot(points, { x: "live", y: "nanoseconds", fill: "subject", r: 3 }),
        Plot.text(ends, { x: "live", y: "nanoseconds", text: "subject", fill: "subject", textAnchor: "start", dx: 8 }),
      ],
    },
    "Time of replacing one of the live chunks, by their number, for each allocator",
  );
}
