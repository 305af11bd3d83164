// A quarter of the recorded random scripts about huge pages: what a real Linux 6.18 answered.
import { expect, test } from "vitest";
import { thp } from "../../../../bench/conformance/thp/thp.ts";
import { replay } from "../linux/recorded.ts";

test("134 random scripts answer as Linux did", async () => {
  const replayed = await replay("random.jsonl.gz", { share: 2, shares: 4 }, { dialect: thp, folder: "thp" });
  expect(replayed).toEqual({ count: 134, failures: [] });
});
