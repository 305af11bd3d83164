// What the heaps do about attacks, technique by technique: the table of docs/reliability.md, as far as it is certain. How often the
// others are detected is measured by `npm run bench -- attacks`.
import { describe, expect, test } from "vitest";
import { profiles, techniques, tryTechnique, verdict } from "../../bench/attacks/attacks.ts";

const TRIALS = 6;

/** By profile: default, hardened, tagged, byte checker. `varies`: by chance, with a probability that is measured. */
const verdicts: Readonly<Record<string, readonly string[]>> = {
  "double free": ["detected", "detected", "detected", "detected"],
  "double free, another between": ["detected", "detected", "detected", "detected"],
  "double free, large": ["detected", "detected", "detected", "detected"],
  "double free after reuse": ["works", "harmless", "detected", "harmless"],
  "free after realloc(p, 0)": ["detected", "detected", "detected", "detected"],
  "header replay": ["works", "works", "detected", "detected"],
  "interior free": ["detected", "detected", "detected", "detected"],
  "misaligned free": ["detected", "detected", "detected", "detected"],
  "free of other memory": ["detected", "detected", "detected", "detected"],
  "wild free": ["detected", "detected", "detected", "detected"],
  "header of another chunk": ["detected", "detected", "detected", "detected"],
  "one bit of a header": ["detected", "detected", "detected", "detected"],
  "checksum guessed once": ["detected", "detected", "detected", "detected"],
  "checksum by linearity": ["works", "works", "detected", "detected"],
  "cross-class free": ["harmless", "harmless", "detected", "detected"],
  "size confusion": ["detected", "detected", "detected", "detected"],
  "kind confusion": ["works", "detected", "works", "works"],
  "memalign confusion": ["detected", "detected", "detected", "detected"],
  "realloc of a freed chunk": ["detected", "detected", "detected", "detected"],
  "use of what realloc left": ["works", "works", "detected", "detected"],
  "second free in a child": ["detected", "detected", "detected", "detected"],
  "cookie by forks": ["harmless", "harmless", "harmless", "detected"],
  "overflow into slack": ["works", "works", "works", "detected"],
  "off by one": ["detected", "detected", "detected", "detected"],
  "off by null": ["detected", "detected", "detected", "detected"],
  "linear overflow": ["detected", "detected", "detected", "detected"],
  "overflow that jumps": ["works", "works", "varies", "works"],
  "read overflow": ["works", "works", "detected", "detected"],
  underflow: ["works", "works", "detected", "detected"],
  "large overflow into slack": ["detected", "detected", "detected", "detected"],
  "large overflow": ["detected", "detected", "detected", "detected"],
  "large header forged": ["detected", "detected", "detected", "detected"],
  "stale read": ["works", "harmless", "detected", "detected"],
  "stale write": ["works", "works", "detected", "detected"],
  "stale read after reuse": ["works", "harmless", "detected", "harmless"],
  "stale write after reuse": ["works", "harmless", "detected", "harmless"],
  "quarantine flushed": ["works", "works", "detected", "harmless"],
  "large stale read": ["works", "harmless", "detected", "detected"],
  "large stale write after reuse": ["works", "works", "detected", "harmless"],
  "spray for the next place": ["works", "harmless", "works", "harmless"],
  "neighbour foreseen": ["harmless", "harmless", "harmless", "harmless"],
  "free-list pointer forged": ["harmless", "harmless", "detected", "detected"],
  "transfer batch forged": ["harmless", "harmless", "harmless", "harmless"],
  "tag guessed": ["works", "harmless", "detected", "harmless"],
  "tag left out": ["works", "works", "detected", "works"],
  "tag of a neighbour": ["works", "works", "detected", "works"],
  "calloc that wraps": ["harmless", "harmless", "harmless", "harmless"],
  "malloc of nearly everything": ["harmless", "harmless", "harmless", "harmless"],
  "uninitialised read": ["works", "harmless", "harmless", "harmless"],
};

test("each technique has a row", () => {
  expect(Object.keys(techniques)).toEqual(Object.keys(verdicts));
  expect(Object.keys(techniques).length).toBeGreaterThanOrEqual(30);
});

describe.each(Object.entries(verdicts))("%s", (name, wanted) => {
  test.each(Object.keys(profiles).map((profile, index) => [profile, wanted[index]] as const))(
    "%s: %s",
    (profile, want) => {
      const counts = tryTechnique(techniques[name], profiles[profile], TRIALS);
      if (want === "varies") expect(counts.detected).toBeGreaterThan(0);
      else expect(verdict(counts)).toBe(want);
    },
  );
});
