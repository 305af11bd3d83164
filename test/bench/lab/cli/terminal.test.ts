// What the command makes of the terminal: when colours are shown, and which figures get one.
import { describe, expect, test } from "vitest";
import { paint, showsColours } from "../../../../bench/lab/cli/terminal.ts";

describe("colours are shown", () => {
  const terminal = { isTTY: true, hasColors: () => true } as const;
  const plainTerminal = { isTTY: true, hasColors: () => false } as const;
  const pipe = { isTTY: false, hasColors: () => true } as const;

  test.each([
    ["on a terminal that has them", terminal, {}, true],
    ["not on a terminal without, or with NO_COLOR, which Node says by the same answer", plainTerminal, {}, false],
    ["not in a pipe", pipe, {}, false],
    ["in a pipe if they are forced", pipe, { FORCE_COLOR: "1" }, true],
    ["in a pipe if they are forced by an empty word, as in Node", pipe, { FORCE_COLOR: "" }, true],
    ["not on a terminal if that is forced", terminal, { FORCE_COLOR: "0" }, false],
  ])("%s", (_name, stream, environment, shown) => {
    expect(showsColours(stream, environment)).toBe(shown);
  });
});

test("less is green, more is red, the same and ranges have no colour", () => {
  const environment = process.env.FORCE_COLOR;
  process.env.FORCE_COLOR = "1";
  try {
    expect(paint("12 KiB −99.8 %  4 +0.1 %  5 0.0 %  [−99.3, −97.4]")).toBe(
      "12 KiB \u001b[32m−99.8 %\u001b[39m  4 \u001b[31m+0.1 %\u001b[39m  5 0.0 %  [−99.3, −97.4]",
    );
  } finally {
    if (environment === undefined) delete process.env.FORCE_COLOR;
    else process.env.FORCE_COLOR = environment;
  }
});
