// The recorded named scenarios about huge pages: what a real Linux 6.18 answered.
import { expect, test } from "vitest";
import { thp } from "../../../../bench/conformance/thp/thp.ts";
import { replay } from "../linux/recorded.ts";

test("125 named scenarios answer as Linux did", async () => {
  const replayed = await replay("scenarios.jsonl.gz", {}, { dialect: thp, folder: "thp" });
  expect(replayed).toEqual({ count: 125, failures: [] });
});

test("4 scripts that were found by comparing with the machine's own kernel answer as Linux did", async () => {
  const replayed = await replay("found.jsonl", {}, { dialect: thp, folder: "thp" });
  expect(replayed).toEqual({ count: 4, failures: [] });
});
