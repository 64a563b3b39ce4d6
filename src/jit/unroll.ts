import {
  ALU_OPS,
  Class,
  CODE_MASK,
  classOf,
  type InsnTable,
  JMP_OPS,
  Opcode,
  slotsOf,
  usesSourceRegister,
} from "../isa/index.ts";
import type { Graph, Node } from "./cfg.ts";
import { type Flow, innermost } from "./flow.ts";
import { valuesAfter, valuesAtNodes } from "./known-values.ts";
import { type Shape, shapeOf } from "./structure.ts";
import { changedRegisters } from "./values.ts";

/** Slots that all copies of a loop may have together. */
const MAX_SLOTS = 120;
/** Copies of a loop's body. */
const MAX_COPIES = 8;
/** Slots that all copies of a function's loops may add. */
const MAX_ADDED = 4000;

/** A graph after its small loops were repeated. */
export interface Unrolled {
  readonly shape: Shape;
  /** Nodes of the loops that were repeated. */
  readonly repeated: ReadonlySet<number>;
}

/**
 * Repeats the bodies of small innermost loops, in place: each wasm loop costs a look at V8's stack limit and a jump
 * back. Where the number of rounds is known, only the last copy asks whether the counter has reached its end; the rounds
 * that do not fill all copies run before the loop. Where a comparison makes some code rare, that code leads back to the
 * loop's start instead, so that V8 lays it out behind the loop; every copy then asks.
 */
export function unrollLoops(graph: Graph, insns: InsnTable): Unrolled {
  const repeated = new Set<number>();
  const shape = shapeOf(graph);
  const loops = innermostLoops(graph, shape);
  if (loops.size === 0) return { shape, repeated };
  const known = valuesAtNodes(graph, shape, insns);
  let added = 0;
  for (const [header, members] of loops) {
    const slots = sizeOf(graph, members, insns);
    const most = Math.min(MAX_COPIES, Math.floor(MAX_SLOTS / Math.max(1, slots)));
    if (most < 2 || added > MAX_ADDED) continue;
    const entering = shape.flow.preds[header].filter((pred) => shape.flow.rpo[pred] < shape.flow.rpo[header]);
    const values = entering.map((pred) => valuesAfter(graph.nodes[pred], insns, known[pred]));
    const rare = findRare(graph, shape, insns, header, members);
    const counter =
      rare !== undefined
        ? undefined
        : findCounter(graph, shape, insns, header, members, (r) => {
            const start = values[0]?.[r];
            return typeof start === "bigint" && values.every((at) => at[r] === start) ? start : undefined;
          });
    const copies = counter === undefined ? most : bestCopies(counter.rounds, most);
    const peeled = counter === undefined ? 0 : counter.rounds % copies;
    if (copies + peeled < 2) continue;
    added += (copies + peeled - 1) * slots;
    const before = graph.nodes.length;
    repeat(graph, { header, members, copies, peeled, counter, rare });
    for (const n of members) repeated.add(n);
    for (let n = before; n < graph.nodes.length; n++) repeated.add(n);
  }
  return { shape: repeated.size === 0 ? shape : shapeOf(graph), repeated };
}

/** Nodes of each innermost loop that only has code without calls, by header. */
function innermostLoops({ nodes }: Graph, { flow, loops }: Shape): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const n of flow.order) {
    const header = innermost(loops, n);
    if (header < 0) continue;
    const members = found.get(header);
    if (members === undefined) found.set(header, [n]);
    else members.push(n);
  }
  for (const header of [...found.keys()]) found.delete(loops.around[header]);
  for (const [header, members] of found)
    if (members.some((n) => nodes[n].kind !== "code")) found.delete(header);
  return found;
}

/** Slots of a loop; infinite when there is a call in it, next to which a jump costs nothing. */
function sizeOf({ nodes }: Graph, members: readonly number[], insns: InsnTable): number {
  let slots = 0;
  for (const n of members) {
    slots += nodes[n].end - nodes[n].start;
    for (let slot = nodes[n].start; slot < nodes[n].end; slot += slotsOf(insns, slot)) {
      const opcode = insns.opcode[slot];
      if (opcode === Opcode.CALL || opcode === Opcode.CALLX) return Number.POSITIVE_INFINITY;
      if (classOf(opcode) === Class.LD && opcode !== Opcode.LDDW) return Number.POSITIVE_INFINITY;
    }
  }
  return slots;
}

/** Code that is run when a number happens to be the one looked for: V8 puts it behind the loop if it leads to its start. */
interface Rare {
  /** Its nodes. */
  readonly nodes: ReadonlySet<number>;
  /** Where it meets the usual way again. */
  readonly join: number;
  /** What a round still does from there on. */
  readonly tail: readonly number[];
}

function findRare(
  { nodes }: Graph,
  { flow, loops }: Shape,
  insns: InsnTable,
  header: number,
  members: readonly number[],
): Rare | undefined {
  const always = passedAlways(flow, header);
  const inside = (n: number) => innermost(loops, n) === header;
  /** What a round passes from a node on, up to another. */
  const from = (start: number, end: number) => {
    const found = new Set([start]);
    for (const n of found)
      for (const succ of nodes[n].succs) if (inside(succ) && succ !== header && succ !== end) found.add(succ);
    return found;
  };
  for (const n of always ?? []) {
    const { ends, last, succs } = nodes[n];
    const code = insns.opcode[last] & CODE_MASK;
    if (ends !== "cond" || usesSourceRegister(insns.opcode[last])) continue;
    if (code !== JMP_OPS.jne.code || !inside(succs[0]) || !inside(succs[1])) continue;
    const [join, start] = succs;
    if (join === header || start === header || start === join || !always?.includes(join)) continue;
    const rare = from(start, join);
    const tail = from(join, header);
    if ([...rare].some((m) => tail.has(m) || flow.preds[m].some((pred) => pred !== n && !rare.has(pred))))
      continue;
    return { nodes: rare, join, tail: members.filter((m) => tail.has(m)) };
  }
  return undefined;
}

/** Nodes that every round of a loop passes, in its order; undefined when it has several ways back. */
function passedAlways(flow: Flow, header: number): readonly number[] | undefined {
  const back = flow.preds[header].filter((pred) => flow.rpo[pred] >= flow.rpo[header]);
  if (back.length !== 1) return undefined;
  const always = [back[0]];
  while (always[0] !== header) always.unshift(flow.idom[always[0]]);
  return always;
}

/** A number of copies that leaves few rounds over; the greater the better. */
function bestCopies(rounds: number, most: number): number {
  let best = 1;
  for (let copies = 2; copies <= Math.min(most, rounds); copies++)
    if (copies - (rounds % copies) >= best - (rounds % best)) best = copies;
  return best;
}

/** A test that leaves a loop in a round known beforehand. */
interface Counter {
  /** Node that ends with the test. */
  readonly node: number;
  /** Where it goes on inside of the loop. */
  readonly stay: number;
  /** The round whose test leaves; the first is 1. */
  readonly rounds: number;
}

/** Counters stay below: there, signed and unsigned, 32 and 64 bits are the same. */
const COUNTER_END = 0x8000_0000;
const ADD = ALU_OPS.add.code;

function findCounter(
  { nodes }: Graph,
  { flow, loops }: Shape,
  insns: InsnTable,
  header: number,
  members: readonly number[],
  startOf: (r: number) => bigint | undefined,
): Counter | undefined {
  const always = passedAlways(flow, header);
  if (always === undefined) return undefined;
  const inside = (n: number) => innermost(loops, n) === header;
  for (const [at, n] of always.entries()) {
    const { ends, last, succs } = nodes[n];
    if (ends !== "cond" || inside(succs[0]) === inside(succs[1])) continue;
    const opcode = insns.opcode[last];
    if (usesSourceRegister(opcode)) continue;
    const r = insns.dst[last];
    const step = onlyStep(nodes, insns, members, always.slice(0, at + 1), r);
    const start = startOf(r);
    if (step === undefined || start === undefined) continue;
    const leavesWhenTaken = !inside(succs[0]);
    const rounds = roundsOf(Number(start), step, opcode & CODE_MASK, insns.imm[last], leavesWhenTaken);
    if (rounds !== undefined) return { node: n, stay: leavesWhenTaken ? succs[1] : succs[0], rounds };
  }
  return undefined;
}

/** What a round adds to register `r` before its test: by one instruction, in a node that every round passes. */
function onlyStep(
  nodes: readonly Node[],
  insns: InsnTable,
  members: readonly number[],
  before: readonly number[],
  r: number,
): number | undefined {
  let step: number | undefined;
  for (const n of members) {
    for (let slot = nodes[n].start; slot < nodes[n].end; slot += slotsOf(insns, slot)) {
      if ((changedRegisters(insns, slot) & (1 << r)) === 0) continue;
      const opcode = insns.opcode[slot];
      const adds = opcode === (Class.ALU64 | ADD) || opcode === (Class.ALU | ADD);
      if (step !== undefined || !adds || !before.includes(n)) return undefined;
      step = insns.imm[slot];
    }
  }
  return step;
}

/** The first round whose test leaves a loop that counts from `start` by `step`; undefined: not to be said. */
function roundsOf(
  start: number,
  step: number,
  code: number,
  limit: number,
  leavesWhenTaken: boolean,
): number | undefined {
  const row = COMPARE.get(code);
  if (row === undefined || step === 0 || limit < 0 || start >= COUNTER_END) return undefined;
  const leaves = (round: number) => row(start + round * step, limit) === leavesWhenTaken;
  if (leaves(1)) return undefined;
  // A comparison changes its mind once on the way, near the limit.
  const near = Math.floor((limit - start) / step);
  for (let round = Math.max(2, near - 1); round <= near + 2; round++) {
    if (!leaves(round)) continue;
    const end = start + round * step;
    return !leaves(round - 1) && end >= 0 && end < COUNTER_END ? round : undefined;
  }
  return undefined;
}

const COMPARE: ReadonlyMap<number, (a: number, b: number) => boolean> = new Map<
  number,
  (a: number, b: number) => boolean
>([
  [JMP_OPS.jeq.code, (a, b) => a === b],
  [JMP_OPS.jne.code, (a, b) => a !== b],
  [JMP_OPS.jgt.code, (a, b) => a > b],
  [JMP_OPS.jge.code, (a, b) => a >= b],
  [JMP_OPS.jlt.code, (a, b) => a < b],
  [JMP_OPS.jle.code, (a, b) => a <= b],
  [JMP_OPS.jsgt.code, (a, b) => a > b],
  [JMP_OPS.jsge.code, (a, b) => a >= b],
  [JMP_OPS.jslt.code, (a, b) => a < b],
  [JMP_OPS.jsle.code, (a, b) => a <= b],
]);

interface Repetition {
  readonly header: number;
  readonly members: readonly number[];
  readonly copies: number;
  /** Rounds that run before the loop. */
  readonly peeled: number;
  readonly counter: Counter | undefined;
  readonly rare: Rare | undefined;
}

/** The original nodes are the first round, so that whatever enters the loop still does. */
function repeat({ nodes }: Graph, { header, members, copies, peeled, counter, rare }: Repetition): void {
  const original = new Map(members.map((n) => [n, nodes[n]]));
  const rounds = Array.from(
    { length: peeled + copies },
    (_, i) => new Map(members.map((n) => [n, i === 0 ? n : nodes.push(nodes[n]) - 1])),
  );
  // One end of a round for the rare ways of all copies; it leads back to the loop's start.
  const tail = new Map(rare?.tail.map((n) => [n, nodes.push(nodes[n]) - 1]));
  for (const [n, copy] of tail)
    nodes[copy] = { ...nodes[n], succs: nodes[n].succs.map((succ) => tail.get(succ) ?? succ) };
  for (const [i, round] of rounds.entries()) {
    const next = rounds[i + 1] ?? rounds[peeled];
    const asks = counter === undefined || i === rounds.length - 1;
    for (const [n, node] of original) {
      const passes = !asks && n === counter.node;
      const to = (succ: number) => {
        if (succ === rare?.join && rare.nodes.has(n)) return tail.get(succ) as number;
        return (succ === header ? next : round).get(succ) ?? succ;
      };
      nodes[round.get(n) as number] = {
        ...node,
        ...(passes && { ends: "jump" }),
        succs: (passes ? [counter.stay] : node.succs).map(to),
      };
    }
  }
}
