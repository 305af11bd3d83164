// The script inside the report: values under the pointer in the charts over time, and pictures that can be made larger. Without it the
// page shows all the same. It is text, since it runs in the reader's browser; what it reads is in data attributes (page.ts).
import { createHash } from "node:crypto";
import type { ReplayResult } from "../replay/result.ts";

/** What a chart over operations needs to answer the pointer: where its frame lies in the drawing, and the lines' values. */
export function seriesData(results: readonly ReplayResult[]): string {
  return JSON.stringify(
    results.map(({ policy, samples }) => ({
      name: policy.name,
      x: samples.operation,
      y: samples.rssBytes,
    })),
  );
}

export const SCRIPT = `(() => {
  const MIB = 2 ** 20;
  const at = (x, wanted) => {
    let [low, high] = [0, x.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (x[middle] <= wanted) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  for (const figure of document.querySelectorAll("figure[data-series]")) {
    const series = JSON.parse(figure.dataset.series);
    const [left, right] = JSON.parse(figure.dataset.margins);
    const last = Math.max(...series.map(({ x }) => x[x.length - 1]));
    const first = Math.min(...series.map(({ x }) => x[0]));
    const values = document.createElement("output");
    values.className = "values";
    values.hidden = true;
    figure.append(values);
    figure.addEventListener("pointermove", (event) => {
      const svg = event.target.closest("svg");
      if (svg === null) return;
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const share = ((event.clientX - box.left) * scale - left) / (svg.viewBox.baseVal.width - left - right);
      values.hidden = share < 0 || share > 1;
      if (values.hidden) return;
      const operation = Math.round(first + share * (last - first));
      const lines = series.map(({ name, x, y }) => name + ": " + (y[at(x, operation)] / MIB).toFixed(2) + " MiB");
      values.textContent = ["operation " + operation, ...lines].join("\\n");
      const own = figure.getBoundingClientRect();
      values.style.left = Math.max(0, Math.min(event.clientX - own.left + 12, own.width - values.offsetWidth)) + "px";
      values.style.top = event.clientY - own.top + 16 + "px";
    });
    figure.addEventListener("pointerleave", () => { values.hidden = true; });
  }
  for (const figure of document.querySelectorAll("figure")) {
    let zoom = 1;
    const bar = document.createElement("p");
    bar.className = "zoom";
    const button = (text, label, change) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      made.setAttribute("aria-label", label);
      made.addEventListener("click", () => {
        zoom = Math.min(8, Math.max(1, zoom * change));
        for (const svg of figure.querySelectorAll("svg")) {
          svg.style.width = zoom === 1 ? "" : 100 * zoom + "%";
          svg.style.maxWidth = zoom === 1 ? "" : "none";
          // What scrolls can be scrolled by keyboard.
          if (zoom === 1) svg.parentElement.removeAttribute("tabindex");
          else svg.parentElement.tabIndex = 0;
        }
      });
      bar.append(made);
    };
    button("+", "Larger picture", 2);
    button("−", "Smaller picture", 0.5);
    figure.prepend(bar);
  }
})();
`;

/** What a content security policy names the script by: no other one runs in the page. */
export const SCRIPT_HASH = `sha256-${createHash("sha256").update(SCRIPT).digest("base64")}`;
