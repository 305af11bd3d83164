// A plain model of the attributes of memory: what each page of a window is, by Linux's rules, and the areas that follow when
// equal neighbours join. For memory that is never touched, where anon_vmas do not keep areas apart.

/** Attributes of one page that matter to maps and smaps. */
export interface PlainPage {
  read: boolean;
  write: boolean;
  readonly shared: boolean;
  /** "" for private anonymous memory, else a name for the file or shared object. */
  readonly object: string;
  /** Page of the object; anonymous memory has none. */
  readonly offset: number;
  readonly marks: ReadonlySet<string>;
}

/** One row: pages, permissions, object, offset of the start, flags beyond the permissions. */
export type PlainArea = readonly [
  start: number,
  end: number,
  perm: string,
  object: string,
  offset: number,
  marks: string,
];

type Change = (page: PlainPage) => PlainPage | "EINVAL";

export class PlainAreas {
  private pages = new Map<number, PlainPage>();

  has(page: number): boolean {
    return this.pages.has(page);
  }

  /** Whether any page of the range is locked. */
  isLocked(start: number, count: number): boolean {
    for (let at = start; at < start + count; at++) if (this.pages.get(at)?.marks.has("lo")) return true;
    return false;
  }

  map(start: number, count: number, make: (index: number) => PlainPage): void {
    for (let index = 0; index < count; index++) this.pages.set(start + index, make(index));
  }

  unmap(start: number, count: number): void {
    for (let page = start; page < start + count; page++) this.pages.delete(page);
  }

  /** As mprotect: up to the first hole. @returns the errno or null. */
  protect(start: number, count: number, access: { readonly read: boolean; readonly write: boolean }): string | null {
    for (let at = start; at < start + count; at++) {
      const page = this.pages.get(at);
      if (page === undefined) return "ENOMEM";
      const marks = new Set(page.marks);
      // Memory that becomes writable is promised then; what was never touched is given back when it becomes read-only.
      if (access.write && !page.write && !page.shared && !marks.has("nr")) marks.add("ac");
      if (!access.write && page.object === "") marks.delete("ac");
      this.pages.set(at, { ...page, ...access, marks });
    }
    return null;
  }

  /** As madvise: over holes to the end, or to the first area that refuses. @returns the errno or null. */
  advise(start: number, count: number, change: Change): string | null {
    let hole = false;
    for (let at = start; at < start + count; at++) {
      const page = this.pages.get(at);
      if (page === undefined) {
        hole = true;
        continue;
      }
      const changed = change(page);
      if (changed === "EINVAL") return "EINVAL";
      this.pages.set(at, changed);
    }
    return hole ? "ENOMEM" : null;
  }

  /** As mlock and munlock: up to the first hole. */
  lock(start: number, count: number, change: (page: PlainPage) => PlainPage): string | null {
    for (let at = start; at < start + count; at++) {
      const page = this.pages.get(at);
      if (page === undefined) return "ENOMEM";
      this.pages.set(at, change(page));
    }
    return null;
  }

  /** As mremap with MREMAP_FIXED and an unchanged length: mapped pages move, holes leave the target as it is. */
  move(start: number, count: number, to: number, { keepOld }: { readonly keepOld: boolean }): void {
    for (let index = 0; index < count; index++) {
      const page = this.pages.get(start + index);
      if (page === undefined) continue;
      if (keepOld) this.pages.set(start + index, without(page, "lo", "lf"));
      else this.pages.delete(start + index);
      this.pages.set(to + index, page);
    }
  }

  /** The area that contains a page. */
  areaOf(page: number): PlainArea | undefined {
    return this.areas().find(([start, end]) => start <= page && page < end);
  }

  /** Repeats the attributes of an area's last page behind it. */
  extend(end: number, count: number): void {
    const last = this.pages.get(end - 1) as PlainPage;
    for (let index = 0; index < count; index++)
      this.pages.set(end + index, { ...last, offset: last.offset + 1 + index });
  }

  areas(): PlainArea[] {
    const rows: PlainArea[] = [];
    for (const at of [...this.pages.keys()].sort((a, b) => a - b)) {
      const page = this.pages.get(at) as PlainPage;
      const perm = `${page.read ? "r" : "-"}${page.write ? "w" : "-"}-${page.shared ? "s" : "p"}`;
      const marks = [...page.marks].sort().join(" ");
      const last = rows.at(-1);
      const joins =
        last !== undefined &&
        last[1] === at &&
        last[2] === perm &&
        last[3] === page.object &&
        last[5] === marks &&
        (page.object === "" || last[4] + (at - last[0]) === page.offset);
      if (joins) rows[rows.length - 1] = [last[0], at + 1, perm, last[3], last[4], marks];
      else rows.push([at, at + 1, perm, page.object, page.object === "" ? 0 : page.offset, marks]);
    }
    return rows;
  }
}

export function withMarks(page: PlainPage, ...names: string[]): PlainPage {
  return { ...page, marks: new Set([...page.marks, ...names]) };
}

export function without(page: PlainPage, ...names: string[]): PlainPage {
  return { ...page, marks: new Set([...page.marks].filter((name) => !names.includes(name))) };
}
