import { type InsnTable, isConditionalJump, isGoto, jumpTarget, Opcode, slotsOf } from "../isa/index.ts";

/**
 * A node of a function's control-flow graph. `code`: instructions [start, end) and what ends them; `set` and `dispatch`
 * stand for no instructions: they make an irreducible region one with a single entry (see `irreducible.ts`).
 */
export interface Node {
  readonly kind: "code" | "set" | "dispatch";
  /** Slots of a `code` node; the terminator at `last` included when `ends` is not `fall`. */
  readonly start: number;
  readonly end: number;
  /** How a `code` node ends: into its only successor, by a jump, a condition (taken, not taken), an exit, an error. */
  readonly ends: "fall" | "jump" | "cond" | "exit" | "trap";
  /** Slot of the last instruction; -1 when there is none. */
  readonly last: number;
  /** `set`: which way the dispatch goes next. */
  readonly value: number;
  /** `cond`: taken first. `dispatch`: by value. */
  succs: number[];
}

/** A function as nodes; node 0 is the entry, has no instructions and no predecessors. */
export interface Graph {
  readonly nodes: Node[];
}

/**
 * The graph of the function that starts at `start` and ends before `end`: what can be reached, nothing else.
 * `stops(slot)` tells instructions that cannot be passed, `reached(slot)` those that some run comes to: a condition of
 * whose ways one never is taken is a jump. undefined when control leaves [start, end).
 */
export function buildGraph(
  insns: InsnTable,
  start: number,
  end: number,
  stops: (slot: number) => boolean,
  reached: (slot: number) => boolean = () => true,
): Graph | undefined {
  const leaders = findLeaders(insns, start, end, stops, reached);
  if (leaders === undefined) return undefined;
  const order = [...leaders].sort((a, b) => a - b);
  const nodeOf = new Map(order.map((slot, i) => [slot, i + 1]));
  const nodes: Node[] = [
    { kind: "code", start, end: start, ends: "fall", last: -1, value: 0, succs: [nodeOf.get(start) ?? 1] },
  ];
  for (const leader of order) nodes.push(blockAt(insns, leader, leaders, nodeOf, stops, reached));
  return { nodes };
}

/** First slots of the reachable blocks; undefined when a path runs out of the function. */
function findLeaders(
  insns: InsnTable,
  start: number,
  end: number,
  stops: (slot: number) => boolean,
  reached: (slot: number) => boolean,
): Set<number> | undefined {
  const leaders = new Set([start]);
  const seen = new Uint8Array(end - start);
  const work = [start];
  for (let from = work.pop(); from !== undefined; from = work.pop()) {
    for (let slot = from; ; slot += slotsOf(insns, slot)) {
      if (slot < start || slot >= end) return undefined;
      if (seen[slot - start]) break;
      seen[slot - start] = 1;
      if (stops(slot)) break;
      const opcode = insns.opcode[slot];
      if (opcode === Opcode.EXIT) break;
      if (isGoto(opcode) || isConditionalJump(opcode)) {
        const targets = isGoto(opcode) ? [jumpTarget(insns, slot)] : ways(insns, slot, reached);
        for (const target of targets) {
          leaders.add(target);
          work.push(target);
        }
        break;
      }
    }
  }
  return leaders;
}

function blockAt(
  insns: InsnTable,
  leader: number,
  leaders: ReadonlySet<number>,
  nodeOf: ReadonlyMap<number, number>,
  stops: (slot: number) => boolean,
  reached: (slot: number) => boolean,
): Node {
  const node = (end: number, ends: Node["ends"], last: number, slots: readonly number[]): Node => ({
    kind: "code",
    start: leader,
    end,
    ends,
    last,
    value: 0,
    succs: slots.map((slot) => nodeOf.get(slot) as number), // every target is a leader
  });
  let last = -1;
  for (let slot = leader; ; ) {
    if (slot !== leader && leaders.has(slot)) return node(slot, "fall", last, [slot]);
    const opcode = insns.opcode[slot];
    const next = slot + slotsOf(insns, slot);
    if (stops(slot)) return node(next, "trap", slot, []);
    if (opcode === Opcode.EXIT) return node(next, "exit", slot, []);
    if (isGoto(opcode)) return node(next, "jump", slot, [jumpTarget(insns, slot)]);
    if (isConditionalJump(opcode)) {
      const taken = jumpTarget(insns, slot);
      const targets = ways(insns, slot, reached);
      const decided = taken === next || targets.length === 1;
      return node(next, decided ? "jump" : "cond", slot, decided ? targets.slice(0, 1) : targets);
    }
    last = slot;
    slot = next;
  }
}

/** Where a condition goes: taken, not taken; without what no run comes to. */
function ways(insns: InsnTable, slot: number, reached: (slot: number) => boolean): number[] {
  const both = [jumpTarget(insns, slot), slot + 1];
  const some = both.filter(reached);
  return some.length === 0 ? both : some;
}
