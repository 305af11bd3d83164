// The recorded random scripts, even lines: what a real Linux 6.18 answered.
import { expect, test } from "vitest";
import { replay } from "./recorded.ts";

test("500 random scripts answer as Linux did", async () => {
  expect(await replay("random.jsonl.gz", { share: 0, shares: 2 })).toEqual({ count: 500, failures: [] });
});
