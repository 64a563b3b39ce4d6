import { type InsnTable, slotsOf } from "../isa/index.ts";
import type { Graph, Node } from "./cfg.ts";
import { innermost } from "./flow.ts";
import type { Shape } from "./structure.ts";
import { changedRegisters, mergeValues, step, unknownValues, type Values } from "./values.ts";

/**
 * What is known of the registers where each node of a reducible graph begins: what all ways to it agree on, at a loop
 * only what the loop does not change.
 */
export function valuesAtNodes({ nodes }: Graph, { flow, loops }: Shape, insns: InsnTable): readonly Values[] {
  const changedIn = changesInLoops(nodes, { flow, loops }, insns);
  const known: Values[] = [];
  const out: Values[] = [];
  for (const n of flow.order) {
    const forward = flow.preds[n].filter((pred) => flow.rpo[pred] < flow.rpo[n]);
    const values = n === 0 ? atEntry(nodes[0]) : mergeValues(forward.map((pred) => out[pred]));
    if (loops.isHeader[n]) for (let r = 0; r < 10; r++) if (changedIn[n] & (1 << r)) values[r] = undefined;
    known[n] = values;
    out[n] = valuesAfter(nodes[n], insns, values);
  }
  return known;
}

/** What is known at the end of a node, from what is known where it begins. */
export function valuesAfter(node: Node, insns: InsnTable, before: Values): Values {
  const values = [...before];
  const end = node.ends === "fall" || node.kind !== "code" ? node.end : node.last;
  for (let slot = node.start; slot < end; slot += slotsOf(insns, slot)) step(insns, slot, values);
  return values;
}

/** The program's first function is given the context. */
function atEntry(entry: Node): Values {
  const values = unknownValues();
  if (entry.start === 0) values[1] = 0;
  return values;
}

/** Registers changed anywhere in the loop of a header, as bit sets. */
function changesInLoops(nodes: readonly Node[], { flow, loops }: Shape, insns: InsnTable): Int32Array {
  const changed = new Int32Array(nodes.length);
  for (let i = flow.order.length - 1; i >= 0; i--) {
    const n = flow.order[i];
    const node = nodes[n];
    let mask = 0;
    for (let slot = node.start; slot < node.end; slot += slotsOf(insns, slot))
      mask |= changedRegisters(insns, slot);
    const header = innermost(loops, n);
    if (header >= 0) changed[header] |= mask;
    // A header comes before its nodes in `order`: its set is complete when it is handed outwards.
    if (loops.isHeader[n] && loops.around[n] >= 0) changed[loops.around[n]] |= changed[n];
  }
  return changed;
}
