// The report: one file that loads nothing, says in words what it draws, and fits a phone; in a real browser where there is one.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { beforeAll, describe, expect, test } from "vitest";
import { machineModel } from "../../../../bench/lab/cost/machine-models.ts";
import { parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import type { ReplayResult } from "../../../../bench/lab/replay/result.ts";
import { replayTrace } from "../../../../bench/lab/replay/run-replay.ts";
import { reportPage } from "../../../../bench/lab/report/page.ts";
import { SCRIPT } from "../../../../bench/lab/report/script.ts";
import { traceOf } from "../traces/events-of.ts";

const TRACE = "refheap-trace 1\n0 malloc 0 600000\n0 read 0 0 300000\n0 write 0 1000 1\n0 malloc 1 50\n0 free 0\n";
const POLICIES = ["pattern-memset", "none", "pattern-refpage"];
const COMMAND = "refheap replay 'a <b>.txt'";
const browser = ["chromium", "google-chrome", "chromium-browser"].find(
  (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
);
let page = "";
let document: ReturnType<typeof parseHTML>["document"];
let results: ReplayResult[];

beforeAll(async () => {
  results = [];
  for (const policy of POLICIES) {
    results.push(
      await replayTrace(await traceOf(TRACE), { policy: parsePolicy(policy), seed: 1, memoryBytes: 2 ** 26 }),
    );
  }
  page = reportPage(results, { machine: machineModel("dragonboard-845c"), command: COMMAND });
  document = parseHTML(page).document;
});

describe("the page", () => {
  test("refers to nothing outside itself, and lets no script run but its own", () => {
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).toContain(`<script>${SCRIPT}</script>`);
    expect(page).not.toMatch(/<link|<img|<iframe|@import|\bsrc=|url\((?!#)/i);
    const hash = createHash("sha256").update(SCRIPT).digest("base64");
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'"`);
  });

  test("shows the command that made it, as text", () => {
    expect(document.querySelector("pre")?.textContent).toBe(COMMAND);
    expect(page).not.toContain("<b>.txt");
  });

  test("is the same bits for the same results", () => {
    expect(reportPage(results, { machine: machineModel("dragonboard-845c"), command: COMMAND })).toBe(page);
  });

  test("has a row and a page map for each policy", () => {
    const rows = [...document.querySelectorAll("section table")][0].querySelectorAll("tbody th");
    expect([...rows].map((row) => row.textContent)).toEqual(POLICIES);
    expect([...document.querySelectorAll("summary")].map((summary) => summary.textContent)).toEqual(POLICIES);
  });

  test("marks estimates in words", () => {
    expect(page).toContain("memory time (estimate)");
  });
});

describe("for those who see no colours, or nothing", () => {
  test("each picture is labelled with its figures", () => {
    const pictures = [...document.querySelectorAll("svg[role=img]")];
    const labels = pictures.map((picture) => picture.getAttribute("aria-label") ?? "");
    expect(labels).toHaveLength(2 * (4 + POLICIES.length));
    expect(labels.every((label) => /\d/.test(label))).toBe(true);
    expect(labels.find((label) => label.startsWith("page faults"))).toContain("pattern-refpage: clean page read");
  });

  test("every policy has a line, also one whose name is a CSS colour", () => {
    const chart = document.querySelector('svg[aria-label^="Resident"]')!;
    const strokes = [...chart.querySelectorAll("g[data-mark=line] path")].map((path) => path.getAttribute("stroke"));
    const shared = [...chart.querySelectorAll("g[data-mark=line]")].map((group) => group.getAttribute("stroke"));
    expect([...strokes, ...shared]).not.toContain("none");
    expect(strokes).toHaveLength(POLICIES.length + 1);
  });

  test("lines differ in their dashes, and the legend shows them", () => {
    const dashes = [...document.querySelectorAll("svg.sample line")].map((line) =>
      line.getAttribute("stroke-dasharray"),
    );
    expect(new Set(dashes.slice(0, POLICIES.length)).size).toBe(POLICIES.length);
  });

  test("page maps say in words how many pages are private, zero, clean and huge", () => {
    const captions = [...document.querySelectorAll("figcaption")].map((caption) => caption.textContent);
    expect(captions).toHaveLength(POLICIES.length);
    for (const caption of captions) expect(caption).toMatch(/\d+ private, \d+ zero, \d+ clean, \d+ huge pages/);
  });

  test("headings go down by single steps, and tables that scroll take the focus", () => {
    const levels = [...document.querySelectorAll("h1, h2, h3")].map(({ tagName }) => Number(tagName[1]));
    expect(levels[0]).toBe(1);
    expect(levels.every((level, index) => index === 0 || level <= levels[index - 1] + 1)).toBe(true);
    for (const region of document.querySelectorAll(".scroll")) {
      expect(region.getAttribute("tabindex")).toBe("0");
      expect(region.getAttribute("aria-label")).toBeTruthy();
    }
  });
});

describe.skipIf(browser === undefined)("in headless Chromium (left out where none is installed)", () => {
  test("it is drawn, in one column without sideways scrolling at 360 pixels, and loads nothing", () => {
    const folder = mkdtempSync(join(tmpdir(), "refheap-report-"));
    try {
      writeFileSync(join(folder, "page.html"), page);
      // A frame gives the width of a phone; its script measures the page from outside, which has none.
      writeFileSync(join(folder, "frame.html"), FRAME);
      const dom = chromium(["--allow-file-access-from-files", "--dump-dom", `file://${folder}/frame.html`]);
      expect(JSON.parse(/<output>(.*)<\/output>/.exec(dom)?.[1] ?? "{}")).toEqual({
        sideways: 0,
        shown: 4 + 1,
        loaded: 0,
      });
      const picture = join(folder, "page.png");
      chromium([`--screenshot=${picture}`, "--window-size=1000,800", `file://${folder}/page.html`]);
      expect(readFileSync(picture).length).toBeGreaterThan(10_000);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("values are under the pointer, pictures grow by a button, and a phone sees the time of each policy", () => {
    const script = `
      const [figure] = document.querySelectorAll("figure[data-series]");
      const svg = [...figure.querySelectorAll("svg")].find((one) => one.checkVisibility());
      const box = svg.getBoundingClientRect();
      const move = (clientX) => svg.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX, clientY: box.top + 50 }));
      const values = figure.querySelector("output.values");
      move(box.right - 21);
      const shown = [values.hidden, values.textContent];
      move(box.left + 1);
      const before = svg.getBoundingClientRect().width;
      figure.querySelector("button").click();
      const time = [...document.querySelectorAll(".figures td:last-child")].map((cell) => cell.getBoundingClientRect());
      show({ shown, hidden: values.hidden, grown: svg.getBoundingClientRect().width / before,
        inside: time.every(({ left, right }) => left >= 0 && right <= innerWidth) });`;
    const found = inside(script) as { shown: [boolean, string]; hidden: boolean; grown: number; inside: boolean };
    expect(found.shown[0]).toBe(false);
    for (const { policy, finalRssBytes } of results)
      expect(found.shown[1]).toContain(`${policy.name}: ${(finalRssBytes / 2 ** 20).toFixed(2)} MiB`);
    expect(found).toMatchObject({ hidden: true, grown: 2, inside: true });
  });

  test("axe finds nothing, of any grade", () => {
    const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8");
    const found = inside(
      `${axe}
      axe.run(document, { resultTypes: ["violations"] }).then(({ violations, passes }) =>
        show({ violations: violations.map(({ id, nodes }) => id + ": " + nodes[0].html), passes: passes.length }));`,
    ) as { violations: string[]; passes: number };
    expect(found.violations).toEqual([]);
    expect(found.passes).toBeGreaterThan(10);
  });
});

/** What a script answers that runs in the page itself, in a frame as wide as a phone; the page's policy would not let it. */
function inside(script: string): unknown {
  const folder = mkdtempSync(join(tmpdir(), "refheap-report-"));
  try {
    const open = page.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, "");
    const show = "const show = (found) => parent.postMessage(JSON.stringify(found), '*');";
    writeFileSync(
      join(folder, "page.html"),
      open.replace("</body>", () => `<script>${show}\n${script}</script></body>`),
    );
    writeFileSync(
      join(folder, "frame.html"),
      `<script>onmessage = ({ data }) => { document.querySelector("output").textContent = data; };</script>
<iframe src="page.html" width="360" height="800" style="border:0"></iframe><output></output>`,
    );
    const dom = chromium(["--allow-file-access-from-files", "--dump-dom", `file://${folder}/frame.html`]);
    const text = /<output>([\s\S]*)<\/output>/.exec(dom)?.[1] ?? "";
    return JSON.parse(text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const FRAME = `<iframe src="page.html" width="360" height="800" style="border:0"></iframe><output></output><script>
document.querySelector("iframe").onload = ({ target }) => {
  const { document: inner, performance } = target.contentWindow;
  document.querySelector("output").textContent = JSON.stringify({
    sideways: inner.documentElement.scrollWidth - 360 > 0 ? inner.documentElement.scrollWidth - 360 : 0,
    shown: [...inner.querySelectorAll("svg[role=img]")].filter((svg) => svg.checkVisibility()).length,
    loaded: performance.getEntriesByType("resource").length,
  });
};
</script>`;

function chromium(programArguments: string[]): string {
  const fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=3000"];
  return execFileSync(browser!, [...fixed, ...programArguments], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
}
