import type { Graph } from "./cfg.ts";

/** Order, dominators and loops of a graph. Nodes that cannot be reached have `rpo` -1. */
export interface Flow {
  /** Reachable nodes in reverse postorder. */
  readonly order: readonly number[];
  /** Place of each node in `order`. */
  readonly rpo: Int32Array;
  readonly preds: readonly (readonly number[])[];
  /** Immediate dominator; the entry's is itself. */
  readonly idom: Int32Array;
}

/** Does every way to `b` lead through `a`? */
export function dominates({ idom, rpo }: Flow, a: number, b: number): boolean {
  let n = b;
  while (rpo[n] > rpo[a]) n = idom[n];
  return n === a;
}

/** Reverse postorder, predecessors and immediate dominators (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm). */
export function analyse({ nodes }: Graph): Flow {
  const order = reversePostorder(nodes.map((node) => node.succs));
  const rpo = new Int32Array(nodes.length).fill(-1);
  for (const [i, n] of order.entries()) rpo[n] = i;
  const preds: number[][] = nodes.map(() => []);
  for (const n of order) for (const succ of nodes[n].succs) preds[succ].push(n);
  const idom = new Int32Array(nodes.length).fill(-1);
  idom[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (const n of order) {
      if (n === 0) continue;
      let found = -1;
      for (const pred of preds[n]) {
        if (idom[pred] < 0) continue;
        found = found < 0 ? pred : meet(pred, found, idom, rpo);
      }
      if (idom[n] === found) continue;
      idom[n] = found;
      changed = true;
    }
  }
  return { order, rpo, preds, idom };
}

function meet(a: number, b: number, idom: Int32Array, rpo: Int32Array): number {
  let x = a;
  let y = b;
  while (x !== y) {
    while (rpo[x] > rpo[y]) x = idom[x];
    while (rpo[y] > rpo[x]) y = idom[y];
  }
  return x;
}

function reversePostorder(succs: readonly (readonly number[])[]): number[] {
  const seen = new Uint8Array(succs.length);
  const next = new Int32Array(succs.length);
  const post: number[] = [];
  const stack = [0];
  seen[0] = 1;
  while (stack.length > 0) {
    const n = stack[stack.length - 1];
    if (next[n] < succs[n].length) {
      // Last successor first: the first one comes later in the order, next to what follows it.
      const succ = succs[n][succs[n].length - 1 - next[n]++];
      if (seen[succ]) continue;
      seen[succ] = 1;
      stack.push(succ);
    } else {
      post.push(n);
      stack.pop();
    }
  }
  return post.reverse();
}

/** Is every retreating edge one to a dominator? */
export function isReducible(graph: Graph, flow: Flow): boolean {
  const { rpo, order } = flow;
  if (!order.some((n) => graph.nodes[n].succs.some((succ) => rpo[succ] <= rpo[n]))) return true;
  const [enter, leave] = dominatorIntervals(graph, flow);
  for (const n of order) {
    for (const succ of graph.nodes[n].succs) {
      if (rpo[succ] > rpo[n]) continue;
      if (enter[succ] > enter[n] || leave[succ] < leave[n]) return false;
    }
  }
  return true;
}

/** Entry and exit times of a walk of the dominator tree: a dominates b when a's interval holds b's. */
function dominatorIntervals(graph: Graph, { idom, order }: Flow): [Int32Array, Int32Array] {
  const children: number[][] = graph.nodes.map(() => []);
  for (const n of order) if (n !== 0) children[idom[n]].push(n);
  const enter = new Int32Array(graph.nodes.length);
  const leave = new Int32Array(graph.nodes.length);
  const next = new Int32Array(graph.nodes.length);
  const stack = [0];
  let time = 1;
  enter[0] = time++;
  while (stack.length > 0) {
    const n = stack[stack.length - 1];
    if (next[n] < children[n].length) {
      const child = children[n][next[n]++];
      enter[child] = time++;
      stack.push(child);
    } else {
      leave[n] = time++;
      stack.pop();
    }
  }
  return [enter, leave];
}

/** The loops of a reducible graph. */
export interface Loops {
  readonly isHeader: Uint8Array;
  /** Header of the innermost loop around a node (a header's own loop not counted); -1: none. */
  readonly around: Int32Array;
  /** How many loops are around a node, a header's own included. */
  readonly depth: Int32Array;
}

/** Natural loops, nested: inner ones are found first and count as one node of the outer ones. */
export function findLoops({ order, rpo, preds }: Flow): Loops {
  const count = rpo.length;
  const isHeader = new Uint8Array(count);
  const around = new Int32Array(count).fill(-1);
  const depth = new Int32Array(count);
  const owner = Int32Array.from({ length: count }, (_, n) => n);
  const find = (n: number): number => {
    let root = n;
    while (owner[root] !== root) root = owner[root];
    for (let at = n; owner[at] !== root; ) [at, owner[at]] = [owner[at], root];
    return root;
  };
  for (let i = order.length - 1; i >= 0; i--) {
    const header = order[i];
    const work: number[] = [];
    const take = (n: number) => {
      const root = find(n);
      if (root === header) return;
      owner[root] = header;
      around[root] = header;
      work.push(root);
    };
    for (const pred of preds[header]) {
      if (rpo[pred] < i) continue;
      isHeader[header] = 1;
      take(pred);
    }
    for (let n = work.pop(); n !== undefined; n = work.pop()) for (const pred of preds[n]) take(pred);
  }
  for (const n of order) depth[n] = (around[n] < 0 ? 0 : depth[around[n]]) + isHeader[n];
  return { isHeader, around, depth };
}

/** Header of the innermost loop that holds `n`: its own when it is one; -1: none. */
export function innermost(loops: Loops, n: number): number {
  return loops.isHeader[n] ? n : loops.around[n];
}

/** Header of the outermost loop that holds `from` but not `to`; -1 when there is none. */
export function outermostLeft(loops: Loops, from: number, to: number): number {
  let a = innermost(loops, from);
  let b = innermost(loops, to);
  let left = -1;
  while (a !== b) {
    const deepA = a < 0 ? 0 : loops.depth[a];
    const deepB = b < 0 ? 0 : loops.depth[b];
    if (deepA >= deepB) {
      left = a;
      a = loops.around[a];
    }
    if (deepB >= deepA) b = loops.around[b];
  }
  return left;
}
