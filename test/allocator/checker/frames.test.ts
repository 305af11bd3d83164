// Stack frames: what is read from a trace, how frames are written, and which are the program's.
import { expect, test } from "vitest";
import {
  type Frame,
  fileNameOf,
  formatFrame,
  isProgramFrame,
  parseFrames,
  pathOfFrame,
} from "../../../allocator/checker/frames.ts";

const frameOf = (file: string, functionName = "parse"): Frame => ({ functionName, file, line: 3, column: 7 });
const library = new URL("../../../", import.meta.url);

test("a trace's lines become frames; other lines are left out", () => {
  const trace = [
    "Error",
    "    at parse (file:///home/a/codec.ts:12:5)",
    "    at async Parser.next (/home/a/parser.ts:1:2)",
    "    at file:///home/a/main.ts:9:1",
    "    at new Promise (<anonymous>)",
  ].join("\n");
  expect(parseFrames(trace)).toEqual([
    { functionName: "parse", file: "file:///home/a/codec.ts", line: 12, column: 5 },
    { functionName: "Parser.next", file: "/home/a/parser.ts", line: 1, column: 2 },
    { functionName: "", file: "file:///home/a/main.ts", line: 9, column: 1 },
  ]);
  expect(parseFrames(null)).toEqual([]);
});

test("a function's name goes up to the brackets of the place, also where it has brackets itself, or the place has", () => {
  const names = [
    "int (anonymous namespace)::parse<int>(int)",
    "void (A::** context<void (A::*)(double)>(void (A::* const&)(double)))(double)",
    "Account.pay [as pay]",
  ];
  const lines = names.map((name) => `    at ${name} (src/a.cc:3:7)`);
  expect(parseFrames(lines.join("\n"))).toEqual(names.map((name) => frameOf("src/a.cc", name)));
  expect(parseFrames("    at pay (eval at make (glue.js:1:2), <anonymous>:3:7)")).toEqual([
    frameOf("eval at make (glue.js:1:2), <anonymous>", "pay"),
  ]);
  expect(parseFrames("    at /home/copy (2)/main.ts:3:7")).toEqual([frameOf("/home/copy (2)/main.ts", "")]);
  expect(parseFrames("    at parse (/home/copy) 2/main.ts:3:7)")).toEqual([frameOf("/home/copy) 2/main.ts")]);
});

test("URLs become paths, and a module runner's queries go", () => {
  expect(pathOfFrame(frameOf("file:///home/a%20b/codec.ts?v=1"))).toBe("/home/a b/codec.ts");
  expect(pathOfFrame(frameOf("/home/a/codec.ts"))).toBe("/home/a/codec.ts");
  expect(fileNameOf(frameOf("file:///home/a%20b/codec.ts?v=1"))).toBe("codec.ts");
});

test("a frame is written with its place, shortened inside the working folder; stable ones have no lines", () => {
  expect(formatFrame(frameOf(`${process.cwd()}/src/codec.ts`), { stable: false })).toBe("at parse (src/codec.ts:3:7)");
  expect(formatFrame(frameOf("/else/codec.ts", ""), { stable: false })).toBe("at /else/codec.ts:3:7");
  expect(formatFrame(frameOf("/else/codec.ts"), { stable: true })).toBe("at parse (codec.ts)");
});

test.each([
  "allocator/heap/heap.ts",
  "platform/hardware/memory.ts",
  "refpage/store.ts",
  "allocator/vitest/matchers.ts",
])(
  "%s is the library's where it is checked out, as URL and as path; the same path elsewhere is the program's",
  (path) => {
    const url = new URL(path, library);
    expect(isProgramFrame(frameOf(url.href))).toBe(false);
    expect(isProgramFrame(frameOf(decodeURIComponent(url.pathname)))).toBe(false);
    expect(isProgramFrame(frameOf(`/home/a/${path}`))).toBe(true);
  },
);

test("tests and programs beside the library are the program's; the host's and packages' frames are not", () => {
  expect(isProgramFrame(frameOf(import.meta.url))).toBe(true);
  expect(isProgramFrame(frameOf(new URL("bench/detection/corpus/corpus.ts", library).href))).toBe(true);
  expect(isProgramFrame(frameOf("node:internal/modules/run_main"))).toBe(false);
  expect(isProgramFrame(frameOf("file:///home/a/node_modules/vitest/dist/index.js"))).toBe(false);
});
