import { accessBytes, functionTarget, MODE_MASK, Mode, Opcode, PseudoCall } from "../isa/index.ts";
import { directCall, lowerDirect } from "./direct-call.ts";
import type { Emitter } from "./emitter.ts";
import type { JitMap } from "./input.ts";
import { lowerHashLookup } from "./lower-hash.ts";
import { ARG_STRIDE, FRAME_STRIDE, FUNC_TAG, type MapImport, TAIL_CALL_LIMIT } from "./surroundings.ts";

/** Helpers that the engine carries out itself: ids of include/uapi/linux/bpf.h. */
const Helper = {
  map_lookup_elem: 1,
  map_update_elem: 2,
  map_delete_elem: 3,
  get_smp_processor_id: 8,
  tail_call: 12,
} as const;
/** BPF_MAP_TYPE_*. */
const MapType = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  LPM_TRIE: 11,
} as const;

/** Work around calls that leave the function: what is kept in locals is saved before and read again after. */
export interface CallFrame {
  before(): void;
  after(): void;
  /** Another round of a loop inside of the instruction at `slot`: counts as an instruction. */
  round(slot: number): void;
}

/** `call` and `callx` at `slot`. */
export function lowerCall(e: Emitter, slot: number, frame: CallFrame): void {
  const { insns } = e;
  if (insns.opcode[slot] === Opcode.CALLX) {
    lowerCallx(e, slot, frame);
    return;
  }
  switch (insns.src[slot]) {
    case PseudoCall.LOCAL:
      callFunction(e, functionTarget(insns, slot), frame);
      return;
    case PseudoCall.KFUNC:
      e.index.used.callsOut = true;
      callHost(e, slot, 5, frame, () => e.f.i32Const(insns.imm[slot]), "kfunc");
      return;
    default:
      lowerHelper(e, slot, insns.imm[slot], frame);
  }
}

function callFunction(e: Emitter, target: number, frame: CallFrame): void {
  const { f } = e;
  frame.before();
  f.localGet(0).i32Const(FRAME_STRIDE).op("i32.add");
  for (let r = 1; r <= 5; r++) e.get(r);
  f.call(e.index.functions.get(target) as number); // every target of a call is a function
  e.set(0);
  frame.after();
}

/** Puts r1–r`args` where the host reads them, calls it, takes r0. */
function callHost(
  e: Emitter,
  slot: number,
  args: number,
  frame: CallFrame,
  which: () => unknown,
  to: "helper" | "kfunc",
): void {
  const { f } = e;
  frame.before();
  for (let r = 1; r <= args; r++) {
    f.localGet(0);
    e.get(r).memory("i64.store", ARG_STRIDE * r, 8);
  }
  which();
  f.i32Const(slot).localGet(0).call(e.index.host[to]);
  f.localGet(0).memory("i64.load", 0, 8);
  e.set(0);
  frame.after();
}

/** A number calls the helper of that id, a function's address the function. */
function lowerCallx(e: Emitter, slot: number, frame: CallFrame): void {
  const { f, insns } = e;
  const dst = insns.dst[slot];
  e.index.used.callsOut = true;
  const done = f.block();
  for (const target of e.index.addressed) {
    e.get(dst)
      .i64Const(FUNC_TAG | BigInt(target))
      .op("i64.eq")
      .if();
    callFunction(e, target, frame);
    f.br(done).end();
  }
  callHost(e, slot, 5, frame, () => e.get32(dst), "helper");
  f.end();
}

function lowerHelper(e: Emitter, slot: number, id: number, frame: CallFrame): void {
  const map = knownMap(e, id === Helper.tail_call ? 2 : 1);
  switch (id) {
    case Helper.map_lookup_elem:
      if (map?.directLookup === true) {
        lowerLookup(e, slot, map, frame);
        return;
      }
      break;
    case Helper.map_update_elem:
      if (map?.directUpdate === true) {
        lowerUpdate(e, map);
        return;
      }
      break;
    case Helper.map_delete_elem:
      if (map?.directUpdate === true) {
        lowerDelete(e, map);
        return;
      }
      break;
    case Helper.get_smp_processor_id:
      e.f.globalGet(e.index.globals.cpu);
      e.set32(0);
      return;
    case Helper.tail_call:
      lowerTailCall(e, map, frame);
      return;
  }
  const toHost = () => {
    e.index.used.helpers.add(id);
    callHost(e, slot, e.input.helperArgs(id), frame, () => e.f.i32Const(id), "helper");
  };
  const direct = directCall(e, id, map);
  if (direct === undefined) toHost();
  else lowerDirect(e, direct, toHost);
}

/** The map whose address a register holds, where that is known. */
export function knownMap(e: Emitter, r: number): JitMap | undefined {
  const value = e.values[r];
  return typeof value !== "bigint" || value > 0xffff_ffffn ? undefined : e.input.map(Number(value));
}

function lowerLookup(e: Emitter, slot: number, map: JitMap, frame: CallFrame): void {
  const { f, index } = e;
  if (map.hash !== undefined) {
    lowerHashLookup(e, slot, map, map.hash, frame);
    return;
  }
  switch (map.type) {
    case MapType.ARRAY:
    case MapType.PERCPU_ARRAY:
      lowerArrayLookup(e, map);
      return;
    case MapType.HASH:
    case MapType.LRU_HASH:
    case MapType.LPM_TRIE: {
      const direct: MapImport =
        map.type === MapType.HASH ? "hashLookup" : map.type === MapType.LRU_HASH ? "lruLookup" : "lpmLookup";
      f.i32Const(map.address);
      e.get32(2).call(index.maps[direct]);
      break;
    }
    default:
      f.i32Const(map.address);
      e.get32(2).globalGet(index.globals.cpu).call(index.maps.mapLookup);
  }
  e.set32(0);
}

/** `index < max_entries ? values + index × elem_bytes : 0`. */
function lowerArrayLookup(e: Emitter, map: JitMap): void {
  const { f } = e;
  const key = e.temp("i32", "key");
  e.get32(2).memory("i32.load").localTee(key).i32Const(map.maxEntries).op("i32.lt_u");
  f.if("i32");
  f.localGet(key).i32Const(map.elemBytes).op("i32.mul").i32Const(map.values).op("i32.add");
  if (map.type === MapType.PERCPU_ARRAY)
    f.globalGet(e.index.globals.cpu).i32Const(map.valueStride).op("i32.mul").op("i32.add");
  f.else().i32Const(0).end();
  e.set32(0);
}

function lowerUpdate(e: Emitter, map: JitMap): void {
  const { f, index } = e;
  f.i32Const(map.address);
  e.get32(2);
  e.get32(3);
  e.get(4);
  if (map.type === MapType.ARRAY) f.call(index.maps.arrayUpdate);
  else f.globalGet(index.globals.cpu).call(index.maps[updateOf(map)]);
  f.op("i64.extend_i32_s");
  e.set(0);
}

/** The map function that updates maps like this one. */
function updateOf(map: JitMap): MapImport {
  if (map.hash?.plain === true) {
    switch (map.hash.keySize) {
      case 4:
        return "hashUpdate4";
      case 8:
        return "hashUpdate8";
      case 12:
        return "hashUpdate12";
      case 16:
        return "hashUpdate16";
    }
  }
  const hash = map.type === MapType.HASH || map.type === MapType.LRU_HASH || map.type === MapType.PERCPU_HASH;
  return hash ? "hashUpdate" : "mapUpdate";
}

function lowerDelete(e: Emitter, map: JitMap): void {
  const { f, index } = e;
  const hash = map.type === MapType.HASH || map.type === MapType.LRU_HASH;
  f.i32Const(map.address);
  e.get32(2)
    .call(hash ? index.maps.hashDelete : index.maps.mapDelete)
    .op("i64.extend_i32_s");
  e.set(0);
}

/** Goes on in the program of the slot, on this frame; falls through when there is none or the limit is reached. */
function lowerTailCall(e: Emitter, map: JitMap | undefined, frame: CallFrame): void {
  const { f, index, input } = e;
  const { layout } = input;
  index.used.callsOut = true;
  if (map !== undefined && map.type !== MapType.PROG_ARRAY) return;
  const target = e.temp("i32", "target");
  const no = f.block();
  if (map === undefined) {
    e.get32(2).memory("i32.load", layout.mapType).i32Const(MapType.PROG_ARRAY).op("i32.ne").brIf(no);
  }
  e.get32(3);
  if (map === undefined) e.get32(2).memory("i32.load", layout.mapMaxEntries);
  else f.i32Const(map.maxEntries);
  f.op("i32.ge_u").brIf(no);
  e.get32(3).i32Const(3).op("i32.shl");
  if (map === undefined) e.get32(2).memory("i32.load", layout.mapValues);
  else f.i32Const(map.values);
  f.op("i32.add").memory("i32.load").localTee(target).op("i32.eqz").brIf(no);
  f.globalGet(index.globals.tailCalls).i32Const(TAIL_CALL_LIMIT).op("i32.ge_u").brIf(no);
  f.globalGet(index.globals.tailCalls).i32Const(1).op("i32.add").globalSet(index.globals.tailCalls);
  frame.before();
  f.localGet(0);
  e.get(1);
  for (let r = 2; r <= 5; r++) f.i64Const(0);
  f.localGet(target).memory("i32.load", layout.codeEntry).callIndirect(index.bpfType).op("return").end();
}

/** LD_ABS, LD_IND: outside the packet the function ends with 0. */
export function lowerPacketLoad(e: Emitter, slot: number, frame: CallFrame): void {
  const { f, insns, index } = e;
  const opcode = insns.opcode[slot];
  index.used.callsOut = true;
  frame.before();
  f.i32Const(insns.imm[slot]);
  if ((opcode & MODE_MASK) === Mode.IND) e.get32(insns.src[slot]).op("i32.add");
  f.i32Const(accessBytes(opcode)).i32Const(slot).localGet(0).call(index.host.loadPacket).op("i32.eqz");
  f.if();
  f.i64Const(0).op("return").end();
  f.localGet(0).memory("i64.load", 0, 8);
  e.set(0);
  frame.after();
}
