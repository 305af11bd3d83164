// Logs of `valgrind --trace-malloc=yes`, as Valgrind 3.19 writes them: each call, several processes, other tools' lines.
import { expect, test } from "vitest";
import { eventsOf, readAll, traceOf } from "./events-of.ts";

const BANNER = `==21864== Memcheck, a memory error detector
==21864== Command: ./a
==21864== 
`;

test("each call becomes an event, blocks named by dense ids", async () => {
  const log = `${BANNER}--21864-- malloc(5) = 0x4A40040
--21864-- calloc(3,10) = 0x4A40170
--21864-- realloc(0x4A40170,1000) = 0x4A401D0
--21864-- memalign(al 64, size 128) = 0x4A40640
--21864-- malloc_usable_size(0x4A40640) = 128
--21864-- free(0x4A40040)
`;
  expect(await eventsOf(log)).toEqual([
    "21864 malloc 0 5",
    "21864 calloc 1 3 10",
    "21864 realloc 1 1000",
    "21864 aligned 2 64 128",
    "21864 free 0",
  ]);
});

test("C++'s operators are read by their mangled names, aligned ones too", async () => {
  const log = `${BANNER}--1-- _Znwm(4) = 0x10
--1-- _ZdlPvm(0x10)
--1-- _Znam(20) = 0x20
--1-- _ZdaPv(0x20)
--1-- _ZnwmRKSt9nothrow_t(4) = 0x30
--1-- _ZnamSt11align_val_t(size 100, al 64) = 0x40
--1-- _ZdaPvSt11align_val_t(0x40)
`;
  expect(await eventsOf(log)).toEqual([
    "1 malloc 0 4",
    "1 free 0",
    "1 malloc 0 20",
    "1 free 0",
    "1 malloc 0 4",
    "1 aligned 1 64 100",
    "1 free 1",
  ]);
});

test("a realloc of null is the malloc that follows on its line, one to size 0 the free", async () => {
  const log = `${BANNER}--1-- realloc(0x0,1600)malloc(1600) = 0x4A412F0
--1-- realloc(0x4A412F0,0)free(0x4A412F0)
--1--  = 0
`;
  expect(await eventsOf(log)).toEqual(["1 malloc 0 1600", "1 free 0"]);
});

test("failed calls, frees of null and of unknown blocks are counted, not replayed", async () => {
  const trace = await traceOf(`${BANNER}--1-- malloc(18446744073709551615) = 0x0
--1-- malloc(5) = 0x50
--1-- realloc(0x50,18446744073709551611) = 0x0
--1-- free(0x0)
--1-- free(0x99)
`);
  expect(await readAll(trace)).toEqual(["1 malloc 0 5"]);
  expect(trace.tally).toMatchObject({ failedCalls: 2, unknownBlocks: 1 });
});

test("the same address in two processes of one log is two blocks, and after an exec a new one", async () => {
  const log = `${BANNER}--1-- malloc(5) = 0x10
--2-- malloc(6) = 0x10
--1-- free(0x10)
--2-- free(0x10)
--2-- malloc(7) = 0x10
==2== Memcheck, a memory error detector
--2-- malloc(8) = 0x10
`;
  expect(await eventsOf(log)).toEqual([
    "1 malloc 0 5",
    "2 malloc 1 6",
    "1 free 0",
    "2 free 1",
    "2 malloc 1 7",
    "2 malloc 0 8",
  ]);
});

test("any tool's log will do, with times in front of the process or without", async () => {
  const log = `==00:00:00:00.000 21973== DHAT, a dynamic heap analysis tool
--00:00:00:01.517 21973-- malloc(72704) = 0x4D5C030
--00:00:00:01.526 21973-- free(0x4D5C030)
`;
  expect(await eventsOf(log)).toEqual(["21973 malloc 0 72704", "21973 free 0"]);
});

test("a plain Memcheck log is no trace", async () => {
  const log = `${BANNER}==21864== HEAP SUMMARY:\n==21864==     in use at exit: 5 bytes in 1 blocks\n`;
  await expect(eventsOf(log)).rejects.toThrow(
    /^a.trace: expected an event, such as "--PID-- malloc\(SIZE\) = 0xPTR" .*, found none in 5 lines$/,
  );
});

test.each(["--1-- malloc(5)", "--1-- free(zz)", "--1-- realloc(0x10) = 0x20", "hello"])(
  "%j is a bad line",
  async (line) => {
    await expect(eventsOf(`${BANNER}${line}\n`)).rejects.toThrow("a.trace:4: expected");
  },
);
