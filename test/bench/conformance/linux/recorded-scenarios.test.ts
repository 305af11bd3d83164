// The recorded named scenarios, and the random scripts about fork, copy-on-write and mremap: what a real Linux 6.18 answered.
import { expect, test } from "vitest";
import { replay } from "./recorded.ts";

test("72 named scenarios answer as Linux did", async () => {
  expect(await replay("scenarios.jsonl.gz")).toEqual({ count: 72, failures: [] });
});

test("400 scripts about fork, copy-on-write and mremap answer as Linux did", async () => {
  expect(await replay("focus.jsonl.gz")).toEqual({ count: 400, failures: [] });
});
