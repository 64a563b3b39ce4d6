import type { Graph, Node } from "./cfg.ts";
import { analyse, isReducible } from "./flow.ts";

/** Steps after which a region is given up: all of it then goes through one dispatch. */
const MAX_STEPS = 20_000_000;

/**
 * Makes a graph reducible, in place. A strongly connected region with several entries gets a `dispatch` node that all
 * edges to the entries go through; a `set` node on each such edge says where to. Only that region pays.
 */
export function makeReducible(graph: Graph): void {
  if (isReducible(graph, analyse(graph))) return;
  const { nodes } = graph;
  let steps = 0;
  const regions: number[][] = [nodes.map((_, n) => n)];
  for (let region = regions.pop(); region !== undefined; region = regions.pop()) {
    steps += region.length;
    for (const part of components(nodes, region)) {
      const inside = new Set(part);
      const entries = entriesOf(nodes, inside);
      if (entries.length <= 1) {
        regions.push(part.filter((n) => n !== entries[0]));
      } else {
        // What is nested too deep to be looked at again and again is dispatched block by block.
        const all = steps > MAX_STEPS;
        const added = addDispatch(nodes, inside, all ? part : entries);
        if (!all) regions.push([...part, ...added]);
      }
      steps += nodes.length;
    }
  }
}

/** Nodes of the region that are jumped to from outside. */
function entriesOf(nodes: readonly Node[], inside: ReadonlySet<number>): number[] {
  const entries = new Set<number>();
  for (const [n, node] of nodes.entries()) {
    if (inside.has(n)) continue;
    for (const succ of node.succs) if (inside.has(succ)) entries.add(succ);
  }
  return [...entries];
}

/** Adds the dispatch for `entries`; gives the `set` nodes of the edges from inside. */
function addDispatch(nodes: Node[], inside: ReadonlySet<number>, entries: readonly number[]): number[] {
  const blank = { start: 0, end: 0, ends: "fall", last: -1 } as const;
  const before = nodes.length;
  const dispatch = nodes.push({ ...blank, kind: "dispatch", value: 0, succs: [...entries] }) - 1;
  const way = new Map(entries.map((entry, i) => [entry, i]));
  const setters = { inner: new Map<number, number>(), outer: new Map<number, number>() };
  const through = (value: number, side: Map<number, number>): number => {
    const found = side.get(value);
    if (found !== undefined) return found;
    const made = nodes.push({ ...blank, kind: "set", value, succs: [dispatch] }) - 1;
    side.set(value, made);
    return made;
  };
  for (let n = 0; n < before; n++) {
    const side = inside.has(n) ? setters.inner : setters.outer;
    nodes[n].succs = nodes[n].succs.map((succ) => {
      const value = way.get(succ);
      return value === undefined ? succ : through(value, side);
    });
  }
  return [...setters.inner.values()];
}

/** Strongly connected components with a cycle, of the part of the graph in `region` (Tarjan, without recursion). */
function components(nodes: readonly Node[], region: readonly number[]): number[][] {
  const member = new Set(region);
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const stack: number[] = [];
  const found: number[][] = [];
  for (const root of region) {
    if (index.has(root)) continue;
    const calls: { n: number; next: number }[] = [];
    const visit = (n: number) => {
      index.set(n, index.size);
      low.set(n, index.size - 1);
      stack.push(n);
      onStack.add(n);
      calls.push({ n, next: 0 });
    };
    visit(root);
    while (calls.length > 0) {
      const call = calls[calls.length - 1];
      const { n } = call;
      const { succs } = nodes[n];
      if (call.next < succs.length) {
        const succ = succs[call.next++];
        if (!member.has(succ)) continue;
        if (!index.has(succ)) visit(succ);
        else if (onStack.has(succ)) low.set(n, Math.min(low.get(n)!, index.get(succ)!));
        continue;
      }
      calls.pop();
      const caller = calls[calls.length - 1];
      if (caller !== undefined) low.set(caller.n, Math.min(low.get(caller.n)!, low.get(n)!));
      if (low.get(n) !== index.get(n)) continue;
      const part: number[] = [];
      for (let top = -1; top !== n; ) {
        top = stack.pop()!;
        onStack.delete(top);
        part.push(top);
      }
      if (part.length > 1 || nodes[n].succs.includes(n)) found.push(part);
    }
  }
  return found;
}
