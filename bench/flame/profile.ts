// A CPU profile as a tree of calls with their times: what a flame graph shows. Taking one is flame.ts's, drawing it picture.ts's.
import type { Profiler } from "node:inspector";

/** One function, called along one way: its own samples, and those of all that it called. Microseconds. */
export interface Frame {
  readonly name: string;
  /** The file's path from the floor on (`allocator/heap/heap.js`), or "" for what is the engine's own. */
  readonly file: string;
  readonly line: number;
  self: number;
  total: number;
  readonly children: Frame[];
}

const FLOOR = /(?:^|\/)((?:platform|refpage|allocator|bench)\/.*)$/;

/**
 * The calls below the function `root` of a profile, merged where they came the same way; samples before `from` (microseconds of the
 * profile's clock) do not count. Empty if the function is not in it.
 */
export function callTree(
  { nodes, samples = [], timeDeltas = [], startTime }: Profiler.Profile,
  root: string,
  from = 0,
): Frame {
  const times = new Map<number, number>();
  let now = startTime;
  for (const [index, id] of samples.entries()) {
    now += timeDeltas[index];
    if (now >= from) times.set(id, (times.get(id) ?? 0) + timeDeltas[index]);
  }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const whole: Frame = { name: root, file: "", line: 0, self: 0, total: 0, children: [] };
  const visit = (node: Profiler.ProfileNode, into: Frame): void => {
    into.self += times.get(node.id) ?? 0;
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) visit(child, childFrame(into, child));
    }
  };
  for (const node of nodes) if (node.callFrame.functionName === root) visit(node, whole);
  addUp(whole);
  return whole;
}

function childFrame(into: Frame, { callFrame }: Profiler.ProfileNode): Frame {
  const name = callFrame.functionName || "(anonymous)";
  const file = FLOOR.exec(callFrame.url)?.[1] ?? "";
  const known = into.children.find((child) => child.name === name && child.file === file);
  if (known !== undefined) return known;
  const fresh: Frame = { name, file, line: callFrame.lineNumber + 1, self: 0, total: 0, children: [] };
  into.children.push(fresh);
  return fresh;
}

function addUp(frame: Frame): number {
  frame.total = frame.self + frame.children.reduce((sum, child) => sum + addUp(child), 0);
  frame.children.sort((a, b) => b.total - a.total);
  return frame.total;
}

/** The functions by their own time, the longest first, with all callers together. */
export function bySelfTime(root: Frame): { readonly name: string; readonly file: string; readonly self: number }[] {
  const rows = new Map<string, { name: string; file: string; self: number }>();
  const visit = ({ name, file, self, children }: Frame): void => {
    const key = `${name} ${file}`;
    const row = rows.get(key) ?? { name, file, self: 0 };
    row.self += self;
    rows.set(key, row);
    for (const child of children) visit(child);
  };
  visit(root);
  return [...rows.values()].sort((a, b) => b.self - a.self);
}
