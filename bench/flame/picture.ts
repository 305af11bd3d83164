// A flame graph as SVG: a row for each depth of calls, a box for each function as wide as its time. Text that does not fit its box is
// left out; all of it stands in the box's tooltip.
import { html } from "../lab/report/html.ts";
import type { Frame } from "./profile.ts";

const WIDTH = 940;
const ROW = 19;
const TOP = 34;
/** Narrower boxes are not drawn. */
const LEAST_WIDTH = 0.6;
const CHARACTER = 6.4;

/** A colour for each floor of the house; what is the engine's own is grey. */
const COLOURS: Readonly<Record<string, string>> = {
  bench: "#d9d9d9",
  allocator: "#f2b880",
  refpage: "#b7d7a8",
  platform: "#9ec5e8",
};

/** @param title what was measured, above the graph */
export function flameGraph(root: Frame, title: string): string {
  const boxes: string[] = [];
  let depth = 0;
  const draw = (frame: Frame, x: number, row: number): void => {
    const width = (frame.total / root.total) * WIDTH;
    if (width < LEAST_WIDTH) return;
    depth = Math.max(depth, row + 1);
    boxes.push(box(frame, x, row, width, frame.total / root.total));
    let left = x;
    for (const child of frame.children) {
      draw(child, left, row + 1);
      left += (child.total / root.total) * WIDTH;
    }
  };
  if (root.total > 0) draw(root, 0, 0);
  const height = TOP + depth * ROW + 4;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${html(title)}" font-family="system-ui, sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="4" y="20" font-size="13" fill="#1c1e21">${html(title)}</text>`,
    ...boxes,
    "</svg>",
    "",
  ].join("\n");
}

function box({ name, file }: Frame, x: number, row: number, width: number, share: number): string {
  const colour = COLOURS[file.split("/")[0]] ?? "#eeeeee";
  const y = TOP + row * ROW;
  const label = name.length * CHARACTER < width - 6 ? name : "";
  const place = file === "" ? "" : `, ${file}`;
  const tooltip = `${name}${place}: ${(share * 100).toFixed(1)} %`;
  const text = label === "" ? "" : `<text x="${(x + 3).toFixed(1)}" y="${y + 13}" fill="#1c1e21">${html(label)}</text>`;
  return `<g><title>${html(tooltip)}</title><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colour}" stroke="white" stroke-width="0.5"/>${text}</g>`;
}
