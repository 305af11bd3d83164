// What real kernels with the reference-page patch answered, even lines of the random scripts.
import { expect, test } from "vitest";
import { refpage } from "../../bench/conformance/linux/refpage.ts";
import { replay } from "../bench/conformance/linux/recorded.ts";

const recording = { dialect: refpage, folder: "refpage" };

test("500 random scripts answer as the patched kernel did", async () => {
  const replayed = await replay("recorded-random.jsonl.gz", { share: 0, shares: 2 }, recording);
  expect(replayed).toEqual({ count: 500, failures: [] });
});
