// The report: one file that loads nothing, says in words what it draws, and fits a phone; in a real browser where there is one.
import { execFileSync, spawnSync } from "node:child_process";
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
  test("has no script and refers to nothing outside itself", () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|\bsrc=|url\((?!#)/i);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
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
    const strokes = [...chart.querySelectorAll("g[aria-label=line] path")].map((path) => path.getAttribute("stroke"));
    const shared = [...chart.querySelectorAll("g[aria-label=line]")].map((group) => group.getAttribute("stroke"));
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
});

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
