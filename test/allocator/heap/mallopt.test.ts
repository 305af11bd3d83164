// mallopt's codes, mallinfo's fields and malloc_info's text, each over a plain stand-in for the heap.
import { describe, expect, test } from "vitest";
import * as codes from "../../../allocator/heap/mallopt.ts";
import { mallinfo2Of, mallinfoOf } from "../../../allocator/inspection/mallinfo.ts";
import { SizeCensus } from "../../../allocator/inspection/malloc-info.ts";

/** Notes what it was asked, and refuses negative cache counts and all TSD counts, as an exclusive registry does. */
class NotedTarget implements codes.MalloptTarget {
  readonly asked: unknown[] = [];
  setReleaseInterval(milliseconds: number): boolean {
    this.asked.push(["interval", milliseconds]);
    return true;
  }
  purge({ all }: { readonly all: boolean }): void {
    this.asked.push(["purge", all]);
  }
  setOddEvenTags({ on }: { readonly on: boolean }): void {
    this.asked.push(["oddEven", on]);
  }
  setThreadMemInit({ disabled }: { readonly disabled: boolean }): void {
    this.asked.push(["noMemInit", disabled]);
  }
  setCacheMaxEntries(count: number): boolean {
    return count >= 0;
  }
  setCacheMaxEntryBytes(): boolean {
    return true;
  }
  setThreadCaches(): boolean {
    return false;
  }
  logStatistics(): void {
    this.asked.push(["log"]);
  }
}

describe("mallopt", () => {
  test.each([
    [codes.M_DECAY_TIME, 1, ["interval", 1]],
    [codes.M_PURGE, 0, ["purge", false]],
    [codes.M_PURGE_ALL, 0, ["purge", true]],
    [codes.M_MEMTAG_TUNING, codes.M_MEMTAG_TUNING_BUFFER_OVERFLOW, ["oddEven", true]],
    [codes.M_MEMTAG_TUNING, codes.M_MEMTAG_TUNING_UAF, ["oddEven", false]],
    [codes.M_THREAD_DISABLE_MEM_INIT, 1, ["noMemInit", true]],
    [codes.M_LOG_STATS, 0, ["log"]],
  ])("code %d with %d does its work and answers 1", (code, value, asked) => {
    const target = new NotedTarget();
    expect(codes.mallopt(target, code, value)).toBe(1);
    expect(target.asked).toEqual([asked]);
  });

  test.each([
    [codes.M_CACHE_COUNT_MAX, 16, 1],
    [codes.M_CACHE_COUNT_MAX, -1, 0],
    [codes.M_CACHE_SIZE_MAX, 1024, 1],
    [codes.M_TSDS_COUNT_MAX, 4, 0],
    [codes.M_MEMTAG_TUNING, 7, 1],
    [-1000, 1, 0],
    [1, 1, 0],
  ])("code %d with %d answers %d", (code, value, result) => {
    expect(codes.mallopt(new NotedTarget(), code, value)).toBe(result);
  });
});

describe("mallinfo", () => {
  const counters = { allocatedBytes: 3, freeBytes: 5, mappedBytes: 2 ** 32 + 7 };

  test("2 fills five of its fields", () => {
    const { hblkhd, usmblks, uordblks, fsmblks, fordblks, ...others } = mallinfo2Of(counters);
    const mapped = counters.mappedBytes;
    expect({ hblkhd, usmblks, uordblks, fsmblks, fordblks }).toEqual({
      hblkhd: mapped,
      usmblks: mapped,
      uordblks: 3,
      fsmblks: 5,
      fordblks: 5,
    });
    expect(Object.values(others)).toEqual([0, 0, 0, 0, 0]);
  });

  test("cuts to C's int", () => {
    expect(mallinfoOf(counters).hblkhd).toBe(7);
    expect(mallinfoOf({ ...counters, mappedBytes: 2 ** 31 }).hblkhd).toBe(-(2 ** 31));
  });
});

describe("malloc_info", () => {
  test("lists requested sizes, ascending, without those of the largest class and above", () => {
    const census = new SizeCensus(5000);
    for (const size of [4321, 1234, 1234, 5000, 200000]) census.add(size);
    expect(census.toXml()).toBe(
      '<malloc version="scudo-1">\n<alloc size="1234" count="2"/>\n<alloc size="4321" count="1"/>\n</malloc>\n',
    );
  });
});
