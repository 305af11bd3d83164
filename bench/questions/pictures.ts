// The picture of docs/questions.md: estimated time saved over memset by the density of touches, with its range.
// Written by `npm run bench -- questions --renew`, from the same counts as the table beside it.
import * as Plot from "@observablehq/plot";
import { improvement } from "../lab/cost/cost-model.ts";
import { colourOf, drawPictureFile } from "../lab/report/plot.ts";
import { iterationOf, MAPPED_PAGES, MEMSET, REFPAGE, REFPAGE_DOUBLE, USERFAULTFD } from "./iteration.ts";
import { BOARD } from "./machines.ts";

const STEP = 25;
/** Lines below this leave the picture: userfaultfd goes on far down. */
const LOWEST_PERCENT = -50;

export function densityPicture(): string {
  const ways = [REFPAGE, REFPAGE_DOUBLE, USERFAULTFD];
  const rows = ways.flatMap((way) =>
    Array.from({ length: MAPPED_PAGES / STEP + 1 }, (_, index) => Math.max(1, index * STEP)).map((touched) => {
      const base = iterationOf(MEMSET, touched).counts(BOARD);
      const { value, low, high } = improvement(base, iterationOf(way, touched).counts(BOARD), BOARD);
      return { touched, way: way.name, value, low, high };
    }),
  );
  const [names, colours] = [ways.map(({ name }) => name), ways.map((_, index) => colourOf(index))];
  const ends = names.map((name) => rows.findLast(({ way, value }) => way === name && value > LOWEST_PERCENT));
  return drawPictureFile(
    {
      height: 420,
      marginRight: 150,
      x: { label: `pages touched of ${MAPPED_PAGES} →`, domain: [0, MAPPED_PAGES], labelAnchor: "center" },
      y: {
        label: `↑ time saved over memset, %, estimate for ${BOARD.name}`,
        domain: [LOWEST_PERCENT, 100],
        grid: true,
      },
      color: { domain: names, range: colours },
      marks: [
        Plot.areaY(rows, { x: "touched", y1: "low", y2: "high", fill: "way", fillOpacity: 0.18, clip: true }),
        Plot.lineY(rows, { x: "touched", y: "value", stroke: "way", strokeWidth: 2.5, clip: true }),
        Plot.ruleY([0]),
        Plot.text(ends, { x: "touched", y: "value", text: "way", fill: "way", textAnchor: "start", dx: 8 }),
      ],
    },
    "Estimated time saved over memset, by the number of pages touched, for three ways to fill them",
  );
}
