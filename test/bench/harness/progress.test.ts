// The line that says how far a benchmark is: on a terminal only, never wider than fits, and gone at the end.
import { expect, test } from "vitest";
import { startProgress } from "../../../bench/harness/progress.ts";

function terminal({ isTTY = true, columns = 20 }: { isTTY?: boolean; columns?: number | undefined } = {}) {
  const written: string[] = [];
  const stream = { isTTY, columns, write: (text: string) => written.push(text) };
  return { written, stream: stream as unknown as NodeJS.WriteStream };
}

test("each step takes the place of the last one, and the end takes the line away", () => {
  const { written, stream } = terminal();
  const progress = startProgress(2, stream);
  progress.step("one");
  progress.step("two");
  progress.done();
  expect(written).toEqual(["\r\u001b[2K[1/2] one", "\r\u001b[2K[2/2] two", "\r\u001b[2K"]);
});

test.each([20, 7, 1])("a long step leaves the last of %d columns free", (columns) => {
  const { written, stream } = terminal({ columns });
  startProgress(9, stream).step("a step with a long name");
  expect(written).toEqual([`\r\u001b[2K${"[1/9] a step with a long name".slice(0, columns - 1)}`]);
});

test("a pipe sees nothing", () => {
  const { written, stream } = terminal({ isTTY: false });
  const progress = startProgress(1, stream);
  progress.step("one");
  progress.done();
  expect(written).toEqual([]);
});
