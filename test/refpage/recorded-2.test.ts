// What real kernels with the reference-page patch answered, odd lines of the random scripts and the named ones.
import { expect, test } from "vitest";
import { refpage } from "../../bench/conformance/linux/refpage.ts";
import { replay } from "../bench/conformance/linux/recorded.ts";

const recording = { dialect: refpage, folder: "refpage" };

test("363 named scripts answer as the patched kernel did", async () => {
  expect(await replay("recorded-named.jsonl.gz", {}, recording)).toEqual({ count: 363, failures: [] });
});

test("500 random scripts answer as the patched kernel did", async () => {
  const replayed = await replay("recorded-random.jsonl.gz", { share: 1, shares: 2 }, recording);
  expect(replayed).toEqual({ count: 500, failures: [] });
});
