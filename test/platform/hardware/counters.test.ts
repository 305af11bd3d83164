// The event counters: readings, differences, and system calls by name.
import { expect, test } from "vitest";
import { Counters, systemCallId } from "../../../platform/hardware/counters.ts";

test("a reading does not change when counting goes on", () => {
  const counters = new Counters();
  counters.minorFaults = 3;
  const reading = counters.snapshot();
  counters.minorFaults++;
  expect(reading.minorFaults).toBe(3);
});

test("since() is what was counted after the reading, in every counter", () => {
  const counters = new Counters();
  counters.framesZeroed = 10;
  counters.countSystemCall(systemCallId("mmap"));
  const reading = counters.snapshot();
  counters.framesZeroed += 2;
  counters.ptesZapped += 5;
  counters.countSystemCall(systemCallId("munmap"));
  const difference = counters.since(reading);
  expect(difference).toMatchObject({ framesZeroed: 2, ptesZapped: 5, minorFaults: 0 });
  expect(difference.systemCalls).toEqual({ munmap: 1 });
});

test("a reading has every counter, all of them 0 at first", () => {
  const { systemCalls, ...numbers } = new Counters().snapshot();
  expect(new Set(Object.values(numbers))).toEqual(new Set([0]));
  expect(Object.keys(numbers)).toContain("bytesCopied");
  expect(systemCalls).toEqual({});
});

test("system calls are counted by name, however many names there are", () => {
  const counters = new Counters();
  for (let i = 0; i < 200; i++) counters.countSystemCall(systemCallId(`made up ${i}`));
  counters.countSystemCall(systemCallId("made up 0"));
  expect(counters.systemCalls.get("made up 0")).toBe(2);
  expect(counters.systemCalls.get("made up 199")).toBe(1);
  expect(counters.systemCalls.has("made up 200")).toBe(false);
});

test("the same name has the same number", () => {
  expect(systemCallId("once")).toBe(systemCallId("once"));
  expect(systemCallId("once")).not.toBe(systemCallId("twice"));
});
