// What the recorder makes of calls that it saw only in part, as those of a native program may be.
import { expect, test } from "vitest";
import { FREE, MALLOC, REALLOC } from "../../../allocator/record/events.ts";
import { Recorder } from "../../../allocator/record/recorder.ts";

function recorded(calls: (recorder: Recorder) => void): [kind: number, id: number, size: number][] {
  const events: [number, number, number][] = [];
  const recorder = new Recorder(({ kind, id, size, count }) => {
    for (let row = 0; row < count; row++) events.push([kind[row], id[row], size[row]]);
  });
  recorder.runAs({});
  calls(recorder);
  recorder.end();
  return events;
}

test("a block at an address that has one means that the other's free was not seen", () => {
  const events = recorded((recorder) => {
    recorder.made(MALLOC, 4096, 100, 0);
    recorder.made(MALLOC, 4096, 200, 0);
    recorder.freed(4096);
    recorder.freed(4096);
  });
  expect(events).toEqual([
    [MALLOC, 0, 100],
    [FREE, 0, 0],
    [MALLOC, 0, 200],
    [FREE, 0, 0],
  ]);
});

test("so does a block that moves to such an address; its own is no other", () => {
  const events = recorded((recorder) => {
    recorder.made(MALLOC, 4096, 100, 0);
    recorder.made(MALLOC, 8192, 100, 0);
    expect(recorder.moved(4096, 4096, 300)).toBe(true);
    expect(recorder.moved(4096, 8192, 400)).toBe(true);
    expect(recorder.moved(4096, 1, 1)).toBe(false);
  });
  expect(events).toEqual([
    [MALLOC, 0, 100],
    [MALLOC, 1, 100],
    [REALLOC, 0, 300],
    [FREE, 1, 0],
    [REALLOC, 0, 400],
  ]);
});
