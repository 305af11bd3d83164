// DHAT's profiles: their sums, and that nothing takes one for a trace.
import { describe, expect, test } from "vitest";
import { isDhatProfile, parseDhat } from "../../../../bench/lab/traces/dhat.ts";
import { openTraceStream } from "../../../../bench/lab/traces/open.ts";

/** Two call sites, as Valgrind 3.19 writes them. */
const PROFILE = `{"dhatFileVersion":2
,"mode":"heap","verb":"Allocated"
,"bklt":true,"bkacc":true
,"tu":"instrs","Mtu":"Minstr","tuth":500
,"cmd":"./app","pid":1,"te":1000,"tg":900
,"pps":
 [{"tb":472,"tbk":2,"tl":12550,"mb":472,"mbk":1,"gb":400,"gbk":1,"eb":0,"ebk":0,"rb":1628,"wb":882,"fs":[1,2]}
 ,{"tb":120,"tbk":1,"tl":11730,"mb":120,"mbk":1,"gb":120,"gbk":1,"eb":120,"ebk":1,"rb":0,"wb":8,"fs":[1]}
 ]
,"ftbl":
 ["[root]","0x483B7F3: malloc (vg_replace_malloc.c:380)","0x4011D6: make (app.c:12)"]
}`;

test("a profile's call sites have their frames and sums, and the totals are theirs", () => {
  const { command, sites, totals } = parseDhat(PROFILE, "dhat.out");
  expect(command).toBe("./app");
  expect(sites[0]).toEqual({
    frames: ["0x483B7F3: malloc (vg_replace_malloc.c:380)", "0x4011D6: make (app.c:12)"],
    totalBlocks: 2,
    totalBytes: 472,
    peakBytes: 400,
    peakBlocks: 1,
    endBytes: 0,
    endBlocks: 0,
    readBytes: 1628,
    writtenBytes: 882,
  });
  expect(totals).toMatchObject({ totalBlocks: 3, totalBytes: 592, peakBytes: 520, endBytes: 120, writtenBytes: 890 });
});

describe("what is no profile of blocks is an error that names the file", () => {
  test.each([
    ["cut", PROFILE.slice(0, 300), /^dhat\.out: a DHAT profile that is cut or damaged: /],
    ["of another version", PROFILE.replace(":2\n", ":3\n"), /^dhat\.out: DHAT's version 3, 2 is read$/],
    ["of copies", PROFILE.replace('"heap"', '"copy"'), /^dhat\.out: DHAT's mode "copy", "heap" is read$/],
    ["without its parts", '{"dhatFileVersion":2,"mode":"heap"}', /^dhat\.out: expected "pps" and "ftbl"/],
  ])("%s", (_name, text, sentence) => {
    expect(() => parseDhat(text, "dhat.out")).toThrow(sentence);
  });
});

test("a profile is no trace, and the error says what there is instead", async () => {
  expect(isDhatProfile(PROFILE)).toBe(true);
  expect(isDhatProfile('{"kind": "results"}')).toBe(false);
  const opened = openTraceStream(
    (async function* () {
      yield Buffer.from(PROFILE);
    })(),
    "dhat.out",
  );
  await expect(opened).rejects.toThrow(
    "dhat.out: expected a trace, found a DHAT profile, which has no order of calls; refheap inspect shows its sums",
  );
});
