import type { FuncBody, Label } from "../wasm/index.ts";
import type { Graph } from "./cfg.ts";
import { analyse, type Flow, findLoops, type Loops, outermostLeft } from "./flow.ts";

/** What to write for the nodes: called in an order in which a node comes after all it can be reached from (loops apart). */
export interface NodeWriter {
  /** The node's instructions, without its jump. */
  body(node: number): void;
  /** `cond` nodes: leaves an i32 on the stack, not zero when the first successor is to be taken. */
  condition(node: number): void;
  /** `exit` nodes: leaves the function. */
  exit(node: number): void;
  /** `dispatch` nodes: leaves the i32 that chooses the successor on the stack. */
  chooser(node: number): void;
}

/** What {@link writeStructured} found out about the graph, for writers that want it. */
export interface Shape {
  readonly flow: Flow;
  readonly loops: Loops;
}

/** Order, dominators and loops of a reducible graph. */
export function shapeOf(graph: Graph): Shape {
  const flow = analyse(graph);
  return { flow, loops: findLoops(flow) };
}

/**
 * Writes a reducible graph with blocks and loops only. Each node stands in the scope of its immediate dominator: at the
 * jump to it when that is the only one, else behind the end of a block that all jumps to it leave. What lies behind a
 * loop's exit stands outside of the loop. @see Ramsey, Beyond Relooper (ICFP 2022)
 */
export function writeStructured(graph: Graph, shape: Shape, f: FuncBody, writer: NodeWriter): void {
  new Structurer(graph, shape, f, writer).run();
}

type Step = { readonly do: "tree" | "body"; readonly node: number } | { readonly do: "end" };
const END: Step = { do: "end" };

class Structurer {
  private readonly graph: Graph;
  private readonly flow: Flow;
  private readonly loops: Loops;
  private readonly f: FuncBody;
  private readonly writer: NodeWriter;
  private readonly labels: (Label | undefined)[] = [];
  private readonly loopLabels: (Label | undefined)[] = [];
  /** Nodes that several jumps lead to: reached by leaving a block. */
  private readonly labelled: Uint8Array;
  /** Labelled nodes by the node in whose scope they stand: behind its code, behind its loop. In the order of `order`. */
  private readonly behind = new Map<number, number[]>();
  private readonly behindLoop = new Map<number, number[]>();
  /** What is left to do, the next last: the recursion of the algorithm, kept off the call stack. */
  private readonly steps: Step[] = [{ do: "tree", node: 0 }];

  constructor(graph: Graph, shape: Shape, f: FuncBody, writer: NodeWriter) {
    this.graph = graph;
    this.flow = shape.flow;
    this.loops = shape.loops;
    this.f = f;
    this.writer = writer;
    this.labelled = new Uint8Array(graph.nodes.length);
    this.place();
  }

  run(): void {
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      if (step.do === "end") this.f.end();
      else if (step.do === "tree") this.tree(step.node);
      else this.node(step.node);
    }
  }

  private place(): void {
    const { order, rpo, preds, idom } = this.flow;
    for (const n of order) {
      if (n === 0) continue;
      const forward = preds[n].filter((pred) => rpo[pred] < rpo[n]);
      const left = outermostLeft(this.loops, idom[n], n);
      const several = forward.length > 1 || this.graph.nodes[forward[0]].kind === "dispatch";
      if (!several && left < 0) continue;
      this.labelled[n] = 1;
      const scopes = left < 0 ? this.behind : this.behindLoop;
      const scope = left < 0 ? idom[n] : left;
      const list = scopes.get(scope);
      if (list === undefined) scopes.set(scope, [n]);
      else list.push(n);
    }
  }

  /** Opens what stands around a node and plans what comes behind it. */
  private tree(n: number): void {
    this.openBlocks(this.behindLoop.get(n));
    if (this.loops.isHeader[n]) {
      this.loopLabels[n] = this.f.loop();
      this.steps.push(END);
    }
    this.openBlocks(this.behind.get(n));
    this.steps.push({ do: "body", node: n });
  }

  private openBlocks(nodes: readonly number[] = []): void {
    for (let i = nodes.length - 1; i >= 0; i--) {
      this.labels[nodes[i]] = this.f.block();
      this.steps.push({ do: "tree", node: nodes[i] }, END);
    }
  }

  private node(n: number): void {
    const { f, writer } = this;
    const node = this.graph.nodes[n];
    writer.body(n);
    if (node.kind === "dispatch") {
      writer.chooser(n);
      const labels = node.succs.map((succ) => this.labelOf(n, succ) as Label); // placed: several or by dispatch
      f.brTable(labels.slice(0, -1), labels[labels.length - 1]);
    } else if (node.ends === "cond") {
      this.branch(n, node.succs[0], node.succs[1]);
    } else if (node.ends === "exit" || node.ends === "trap") {
      writer.exit(n);
    } else {
      this.go(n, node.succs[0]);
    }
  }

  private branch(n: number, taken: number, other: number): void {
    const { f, writer } = this;
    const takenLabel = this.labelOf(n, taken);
    const otherLabel = this.labelOf(n, other);
    writer.condition(n);
    if (takenLabel !== undefined) {
      f.brIf(takenLabel);
      this.go(n, other);
    } else if (otherLabel !== undefined) {
      f.op("i32.eqz").brIf(otherLabel);
      this.go(n, taken);
    } else {
      // Neither is reached from elsewhere: the first stands behind a block that holds the second.
      this.steps.push({ do: "tree", node: taken }, END, { do: "tree", node: other });
      f.op("i32.eqz").if();
      // `if` runs the other way's code when the condition does not hold; its end falls to the taken one's.
    }
  }

  private go(n: number, to: number): void {
    const label = this.labelOf(n, to);
    if (label === undefined) this.steps.push({ do: "tree", node: to });
    else this.f.br(label);
  }

  /** Where a jump from `n` to `to` goes; undefined: `to` follows right here. */
  private labelOf(n: number, to: number): Label | undefined {
    if (this.flow.rpo[to] <= this.flow.rpo[n]) return this.loopLabels[to];
    return this.labelled[to] ? this.labels[to] : undefined;
  }
}
