// Circles in a graph of imports: groups of files, or of folders, each of which can be reached from each other of its group.
// What the project says about them is layers.test.ts.

/** The nodes of a graph and what each points to. */
export type Graph = ReadonlyMap<string, ReadonlySet<string>>;

/** Every circle (strongly connected group of at least two nodes), its nodes in alphabetical order, the circles too. */
export function circles(graph: Graph): string[][] {
  const reach = new Map([...graph.keys()].map((node) => [node, reachableFrom(graph, node)]));
  const found: string[][] = [];
  const placed = new Set<string>();
  for (const node of [...graph.keys()].sort()) {
    if (placed.has(node)) continue;
    const circle = [...(reach.get(node) ?? [])].filter((other) => other !== node && reach.get(other)?.has(node));
    if (circle.length === 0) continue;
    found.push([node, ...circle].sort());
    for (const other of [node, ...circle]) placed.add(other);
  }
  return found;
}

function reachableFrom(graph: Graph, start: string): Set<string> {
  const seen = new Set<string>();
  const waiting = [...(graph.get(start) ?? [])];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    waiting.push(...(graph.get(node) ?? []));
  }
  return seen;
}

/** The graph with each node replaced by its group; arrows inside a group are dropped. */
export function grouped(graph: Graph, groupOf: (node: string) => string): Graph {
  const groups = new Map<string, Set<string>>();
  for (const [node, targets] of graph) {
    const arrows = groups.get(groupOf(node)) ?? new Set<string>();
    for (const target of targets) if (groupOf(target) !== groupOf(node)) arrows.add(groupOf(target));
    groups.set(groupOf(node), arrows);
  }
  return groups;
}
