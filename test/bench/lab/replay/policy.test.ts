// Policies by name and by changed fields, touch models by name: what is accepted, and what errors say.
import { expect, test } from "vitest";
import { DEFAULT_POLICIES, POLICIES, parsePolicy } from "../../../../bench/lab/replay/policy.ts";
import { parseTouchModel, TOUCH_MODELS, Toucher, touchModelName } from "../../../../bench/lab/replay/touch-model.ts";

test("every named policy can be asked for, and the defaults are among them", () => {
  for (const name of Object.keys(POLICIES)) expect(parsePolicy(name).name).toBe(name);
  for (const name of DEFAULT_POLICIES) expect(POLICIES[name]).toBeDefined();
});

test("fields behind a + change a named policy", () => {
  expect(parsePolicy("pattern-refpage+initialisation=double+quarantineKb=256")).toEqual({
    ...POLICIES["pattern-refpage"].policy,
    name: "pattern-refpage+initialisation=double+quarantineKb=256",
    initialisation: "double",
    quarantineKb: 256,
  });
});

test.each([
  ["refpage", 'policy "refpage" is not one of none, zero, pattern-memset'],
  ["none+fil=zero", '"fil=zero" in policy "none+fil=zero": expected FIELD=VALUE with a field of fill, largeFill'],
  ["none+fill", '"fill" in policy "none+fill": expected FIELD=VALUE'],
  ["none+fill=ones", 'fill="ones" in policy "none+fill=ones" is not one of none, zero, pattern'],
  ["none+quarantineKb=many", 'quarantineKb="many" in policy "none+quarantineKb=many" is not a whole number'],
  ["none+quarantineKb=-1", "quarantineKb must be 0 or more"],
  ["none+sizeClasses=tiny", "is not one of of-config, default, android, android32, fuchsia, svelte, trusty"],
  ["pattern-userfaultfd+pages=16K", "pages=16K is an emulation on pages of 4K"],
  ["tag-small+config=fuchsia", "config=fuchsia knows no tagging"],
  ["none+config=trusty+cacheEntries=4", "config=trusty has no cache of large mappings"],
  ["none+cacheEntries=100000", "cacheEntries must be at most 65536"],
  ["none+tagging=refpage", "tagging=refpage and largeFill=refpage go together"],
])("%s is refused", (text, message) => {
  expect(() => parsePolicy(text)).toThrow(message);
});

test("touch models are read back from their names", () => {
  for (const name of TOUCH_MODELS) expect(touchModelName(parseTouchModel(name))).toBe(name);
});

test.each([
  "some",
  "fraction=2",
  "fraction=",
  "distribution=1",
  "distribution=0*1",
  "distribution=1*2",
  "distribution=*1",
])("%s is no touch model", (text) => {
  expect(() => parseTouchModel(text)).toThrow(`touch model "${text}" is not one of none, all, first-page`);
});

test("a seed decides the pages, another seed others", () => {
  const pages = (seed: number): boolean[] => {
    const toucher = new Toucher(parseTouchModel("fraction=0.5"), seed);
    toucher.beginBlock();
    return Array.from({ length: 64 }, (_, index) => toucher.touches(index));
  };
  expect(pages(1)).toEqual(pages(1));
  expect(pages(1)).not.toEqual(pages(2));
  expect(pages(1).filter(Boolean).length).toBeGreaterThan(20);
  expect(pages(1).filter(Boolean).length).toBeLessThan(44);
});

test("a distribution draws its fractions by weight", () => {
  const toucher = new Toucher(parseTouchModel("distribution=3*0,1*1"), 5);
  let touching = 0;
  for (let block = 0; block < 4000; block++) if (toucher.beginBlock() && toucher.touches(0)) touching++;
  expect(touching).toBeGreaterThan(900);
  expect(touching).toBeLessThan(1100);
});
