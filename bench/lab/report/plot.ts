// Observable Plot in Node: a plot as SVG text, drawn on a small DOM. What is drawn is decided in charts.ts and page-map-chart.ts.
// Colours that must differ between light and dark are CSS variables of the page (style.ts).
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

/** A drawing comes in two widths, and the page shows the one that fits: text keeps its size on a phone. */
const WIDTHS = { wide: 940, narrow: 350 } as const;
export type WidthName = keyof typeof WIDTHS;

/** Colours that stay apart for most eyes (Okabe and Ito's set, the yellow left out). */
const SERIES_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b5a2b", "#7f7f7f"];

export function colourOf(index: number): string {
  return SERIES_COLOURS[index % SERIES_COLOURS.length];
}

/** Lines differ in their dashes as well as in colour; 9 and 8 of them, so that 72 lines are all different. */
const DASHES = ["", "8,3", "2,3", "8,3,2,3", "14,4", "4,4", "14,4,2,4", "2,6", "3,6,12,6"];

export function dashesOf(index: number): string {
  return DASHES[index % DASHES.length];
}

/** @param label what the picture shows, for those who cannot see it */
export function drawPlot(options: Plot.PlotOptions, width: WidthName, label: string): string {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg = Plot.plot({
    width: WIDTHS[width],
    style: { background: "transparent", fontFamily: "inherit", fontSize: "12px", overflow: "visible" },
    ariaLabel: label,
    ...options,
    document: document as never,
  });
  svg.setAttribute("role", "img");
  // An image is one thing: its parts, which Plot labels by their kinds, have no labels of their own.
  for (const part of svg.querySelectorAll("g[aria-label]")) {
    part.setAttribute("data-mark", part.getAttribute("aria-label") ?? "");
    part.removeAttribute("aria-label");
  }
  return svg.outerHTML;
}

/** A picture for a file of its own: dark on white, on any page around it. */
export function drawPictureFile(options: Plot.PlotOptions, label: string): string {
  const style = { background: "white", color: "#1c1e21", fontFamily: "system-ui, sans-serif", fontSize: "13px" };
  const svg = drawPlot({ marginLeft: 50, marginBottom: 45, style, ...options }, "wide", label);
  return `${svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')}\n`;
}
