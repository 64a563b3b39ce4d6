import { BpfError } from "../base/index.ts";
import type { CoreRelocation } from "../btf/index.ts";
import { functionAt, type ObjectFunction } from "./functions.ts";
import type { RawObject } from "./raw-object.ts";
import { codeTargets, type Target, type Targets } from "./relocations.ts";
import type { FuncInfo, LineInfo, Reference } from "./spec.ts";

/** An entry function with its subprograms behind it, calls set, everything else still symbolic. */
export interface AssembledProgram {
  readonly insns: Uint8Array;
  readonly references: readonly Reference[];
  readonly coreRelocations: readonly CoreRelocation[];
  readonly funcs: readonly FuncInfo[];
  readonly lines: readonly LineInfo[];
}

const LDDW = 0x18;
const CALL = 0x85;
const Pseudo = { MAP_FD: 1, MAP_VALUE: 2, BTF_ID: 3, FUNC: 4, CALL: 1, KFUNC: 2 } as const;

/** Slots and records that all programs of one object may have together: 64 MiB of code. */
const BUDGET = 8 << 20;

/**
 * Puts programs together as libbpf does: a subprogram is appended when the first call or address that needs it is met,
 * and its own calls are followed before the caller's next. So the order of subprograms is the same.
 */
export class Assembler {
  private readonly targets: Targets;
  private readonly bySection = new Map<number, Map<number, Target>>();
  private readonly extra: SectionRecords;
  private budget = BUDGET;

  constructor(targets: Targets) {
    this.targets = targets;
    this.extra = new SectionRecords(targets.object);
    for (const section of targets.functions.keys()) {
      this.bySection.set(section, codeTargets(targets, targets.object.sections[section]));
    }
  }

  /**
   * @param callback Exception callback, appended behind the rest when no call has brought it in.
   * @throws BpfError `object/bad-call`, `object/too-large`.
   */
  assemble(entry: ObjectFunction, callback: ObjectFunction | undefined): AssembledProgram {
    const parts: { fn: ObjectFunction; base: number }[] = [];
    const bases = new Map<ObjectFunction, number>();
    let end = 0;
    const append = (fn: ObjectFunction): void => {
      this.spend(fn.count);
      parts.push({ fn, base: end });
      bases.set(fn, end);
      end += fn.count;
    };
    const edges = new Map<number, ObjectFunction>();
    const follow = (root: ObjectFunction): void => {
      append(root);
      const stack = [this.frame(root, bases.get(root)!)];
      while (stack.length > 0) {
        const top = stack[stack.length - 1];
        const next = top.edges[top.next++];
        if (next === undefined) {
          stack.pop();
          continue;
        }
        edges.set(next.slot, next.callee);
        if (bases.has(next.callee)) continue;
        append(next.callee);
        stack.push(this.frame(next.callee, bases.get(next.callee)!));
      }
    };
    follow(entry);
    if (callback !== undefined && !bases.has(callback)) follow(callback);
    return this.emit(parts, bases, edges, end);
  }

  /** Calls and function addresses of one function, slots counted in the program. */
  private frame(
    fn: ObjectFunction,
    base: number,
  ): { edges: { slot: number; callee: ObjectFunction }[]; next: number } {
    const edges: { slot: number; callee: ObjectFunction }[] = [];
    const targets = this.bySection.get(fn.section.index)!;
    const { data } = fn.section;
    for (let i = 0; i < fn.count; i++) {
      const slot = fn.start + i;
      const target = targets.get(slot);
      if (target?.kind === "call" || target?.kind === "func") {
        edges.push({ slot: base + i, callee: target.callee });
      } else if (target === undefined && this.isLocalCall(data, slot)) {
        edges.push({ slot: base + i, callee: this.localCallee(fn, slot) });
      }
      if (data[slot * 8] === LDDW) i++;
    }
    return { edges, next: 0 };
  }

  private isLocalCall(data: Uint8Array, slot: number): boolean {
    const registers = data[slot * 8 + 1];
    const offset = data[slot * 8 + 2] | data[slot * 8 + 3];
    return data[slot * 8] === CALL && registers === registerByte(this.little, 0, Pseudo.CALL) && offset === 0;
  }

  /** A call inside a section needs no relocation: imm counts from the next instruction. */
  private localCallee(fn: ObjectFunction, slot: number): ObjectFunction {
    const { data, index } = fn.section;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const imm = view.getInt32(slot * 8 + 4, this.little);
    const callee = functionAt(this.targets.functions, index, slot + imm + 1);
    if (callee !== undefined) return callee;
    throw new BpfError(
      "object/bad-call",
      `prog '${fn.name}': call to slot ${slot + imm + 1} of '${fn.section.name}'`,
      {
        insn: slot - fn.start,
        subject: fn.name,
        hint: "call static functions or functions without SEC()",
      },
    );
  }

  private emit(
    parts: readonly { fn: ObjectFunction; base: number }[],
    bases: ReadonlyMap<ObjectFunction, number>,
    edges: ReadonlyMap<number, ObjectFunction>,
    end: number,
  ): AssembledProgram {
    const insns = new Uint8Array(end * 8);
    const view = new DataView(insns.buffer);
    const references: Reference[] = [];
    const coreRelocations: CoreRelocation[] = [];
    const funcs: FuncInfo[] = [];
    const lines: LineInfo[] = [];
    for (const { fn, base } of parts) {
      insns.set(fn.section.data.subarray(fn.start * 8, (fn.start + fn.count) * 8), base * 8);
      const targets = this.bySection.get(fn.section.index)!;
      for (let i = 0; i < fn.count; i++) {
        const target = targets.get(fn.start + i);
        if (target !== undefined) this.resolve(view, base + i, target, references);
      }
      this.extra.copy(fn, base, funcs, lines, coreRelocations);
    }
    for (const [slot, callee] of edges) {
      const at = bases.get(callee)!;
      view.setInt32(slot * 8 + 4, at - slot - 1, this.little);
      if (insns[slot * 8] !== LDDW) continue;
      insns[slot * 8 + 1] = registerByte(this.little, dstOf(this.little, insns[slot * 8 + 1]), Pseudo.FUNC);
      references.push({ kind: "func", insn: slot, target: at });
    }
    // a record is an object of several words: it weighs more than a slot
    this.spend(8 * (lines.length + coreRelocations.length));
    references.sort((a, b) => a.insn - b.insn);
    return { insns, references, coreRelocations, funcs, lines };
  }

  /** Marks the instruction with its BPF_PSEUDO_* kind and notes what it refers to. */
  private resolve(view: DataView, slot: number, target: Target, references: Reference[]): void {
    const mark = (pseudo: number, imm: number): void => {
      const registers = view.getUint8(slot * 8 + 1);
      view.setUint8(slot * 8 + 1, registerByte(this.little, dstOf(this.little, registers), pseudo));
      view.setInt32(slot * 8 + 4, imm, this.little);
    };
    const second = (imm: number): void => view.setInt32(slot * 8 + 12, imm, this.little);
    switch (target.kind) {
      case "map":
        mark(Pseudo.MAP_FD, 0);
        second(0);
        references.push({ kind: "map", insn: slot, map: target.map });
        break;
      case "map-value": {
        const offset = (view.getInt32(slot * 8 + 4, this.little) + target.symbolOffset) | 0;
        mark(Pseudo.MAP_VALUE, 0);
        second(offset);
        references.push({ kind: "map-value", insn: slot, map: target.map, offset });
        break;
      }
      case "extern": {
        const { spec, typed } = target.extern;
        const { name, weak } = spec;
        if (spec.kind === "kconfig") {
          mark(Pseudo.MAP_VALUE, 0);
          second(spec.offset ?? 0);
          references.push({ kind: "map-value", insn: slot, map: ".kconfig", offset: spec.offset ?? 0 });
        } else if (view.getUint8(slot * 8) === CALL) {
          mark(Pseudo.KFUNC, 0);
          references.push({ kind: "kfunc", insn: slot, name, weak });
        } else {
          mark(typed ? Pseudo.BTF_ID : 0, 0);
          second(0);
          references.push({ kind: "ksym", insn: slot, name, weak, typed });
        }
        break;
      }
      default:
        // calls and function addresses: set with the edges
        break;
    }
  }

  private get little(): boolean {
    return this.targets.object.byteOrder === "little";
  }

  private spend(amount: number): void {
    this.budget -= amount;
    if (this.budget >= 0) return;
    throw new BpfError(
      "object/too-large",
      "the programs with their subprograms exceed 8 million instructions or a million lines",
      {
        hint: "the file is damaged, or holds more than the kernel could load: split it",
      },
    );
  }
}

/** dst is the low nibble in little-endian objects, the high one in big-endian ones (RFC 9669 section 3). */
function registerByte(little: boolean, dst: number, src: number): number {
  return little ? (src << 4) | dst : (dst << 4) | src;
}

function dstOf(little: boolean, registers: number): number {
  return little ? registers & 15 : registers >> 4;
}

interface Sorted<T> {
  readonly insn: number;
  readonly record: T;
}

/** `.BTF.ext` records by section name, sorted by slot. */
class SectionRecords {
  private readonly object: RawObject;
  private readonly funcs = new Map<string, Map<number, number>>();
  private readonly lines = new Map<string, Sorted<LineInfo>[]>();
  private readonly core = new Map<string, Sorted<CoreRelocation>[]>();

  constructor(object: RawObject) {
    this.object = object;
    const { ext } = object;
    if (ext === undefined) return;
    for (const { section, insn, type } of ext.funcInfo) {
      const list = this.funcs.get(section) ?? new Map<number, number>();
      this.funcs.set(section, list);
      if (!list.has(insn)) list.set(insn, type);
    }
    for (const { section, insn, file, line, column, text } of ext.lineInfo) {
      listOf(this.lines, section).push({ insn, record: { insn, file, line, column, text } });
    }
    for (const record of ext.coreRelocations) {
      listOf(this.core, record.section).push({ insn: record.insn, record });
    }
    for (const lists of [this.lines, this.core]) {
      for (const list of lists.values()) list.sort((a, b) => a.insn - b.insn);
    }
  }

  copy(fn: ObjectFunction, base: number, funcs: FuncInfo[], lines: LineInfo[], core: CoreRelocation[]): void {
    const { section, start } = fn;
    const shift = base - start;
    const btfId = this.funcs.get(section.name)?.get(start) ?? 0;
    const type = this.object.btf?.types[btfId];
    const global = type?.kind === "func" ? type.linkage === "global" : fn.global;
    funcs.push({
      name: fn.name,
      insn: base,
      btfId: type?.kind === "func" ? btfId : 0,
      linkage: global && !fn.hidden ? "global" : "static",
    });
    for (const record of between(this.lines.get(section.name), fn))
      lines.push({ ...record, insn: record.insn + shift });
    for (const record of between(this.core.get(section.name), fn))
      core.push({ ...record, insn: record.insn + shift });
  }
}

function listOf<T>(map: Map<string, T[]>, key: string): T[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}

function* between<T>(list: readonly Sorted<T>[] | undefined, fn: ObjectFunction): Generator<T> {
  if (list === undefined) return;
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].insn < fn.start) low = middle + 1;
    else high = middle;
  }
  for (; low < list.length && list[low].insn < fn.start + fn.count; low++) yield list[low].record;
}
