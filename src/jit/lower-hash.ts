import {
  ALU_OPS,
  accessBytes,
  Class,
  classOf,
  FRAME_POINTER,
  type InsnTable,
  isAtomic,
} from "../isa/index.ts";
import type { Emitter } from "./emitter.ts";
import type { JitHash, JitMap } from "./input.ts";
import type { CallFrame } from "./lower-call.ts";

/**
 * A lookup in a hash map whose keys are whole words, written out: hash, bucket and comparison with everything about the
 * map a constant. assembly/maps/hash.ts does the same for every map. r2 points to the key; r0 gets the value's address.
 */
export function lowerHashLookup(
  e: Emitter,
  slot: number,
  map: JitMap,
  hash: JitHash,
  frame: CallFrame,
): void {
  const { f } = e;
  const words = readKey(e, slot, hash.keySize);
  const node = e.temp("i32", "node");
  for (const [i, word] of words.entries()) {
    f.localGet(word).i64Const(hash.multipliers[i]).op("i64.mul");
    if (i > 0) f.op("i64.add");
  }
  f.i64Const(32).op("i64.shr_u").op("i32.wrap_i64");
  f.i32Const(hash.mask).op("i32.and").i32Const(2).op("i32.shl").memory("i32.load", hash.buckets);
  f.localSet(node);
  const done = f.block();
  const next = f.loop();
  f.localGet(node).op("i32.eqz").brIf(done);
  compare(e, words, node, hash.keyAt);
  f.brIf(done);
  f.localGet(node).memory("i32.load").localSet(node);
  frame.round(slot);
  f.br(next).end().end();
  if (hash.usedAt !== undefined) {
    f.localGet(node).if();
    f.localGet(node).i32Const(1).memory("i32.store8", hash.usedAt).end();
  }
  f.localGet(node).i32Const(hash.valueAt).op("i32.add");
  if (hash.perCpu) f.globalGet(e.index.globals.cpu).i32Const(map.valueStride).op("i32.mul").op("i32.add");
  f.i32Const(0).localGet(node).op("select");
  e.set32(0);
}

/**
 * The key's words in locals, zero-extended. A load that is wider than the stores that wrote the key would have to wait
 * until they have left the store buffer.
 */
function readKey(e: Emitter, slot: number, keySize: number): number[] {
  const { f } = e;
  const key = e.temp("i32", "key");
  e.get32(2).localSet(key);
  const sizes = storeSizes(e.insns, slot, keySize);
  return sizes.map((size, i) => {
    const word = e.temp("i64", `word${i}`);
    for (let at = 4 * i; at < 4 * i + 4; at += size) {
      f.localGet(key).memory(LOAD[size], at);
      if (at === 4 * i) continue;
      f.i64Const(8 * (at - 4 * i))
        .op("i64.shl")
        .op("i64.or");
    }
    f.localSet(word);
    return word;
  });
}

const LOAD = { 1: "i64.load8_u", 2: "i64.load16_u", 4: "i64.load32_u" } as const;
/** How far back stores are looked for. */
const REACH = 96;

/**
 * For each word of a key on the stack the narrowest store that wrote it, as the instructions before the call at `slot`
 * have it. A guess that costs time where it is wrong, and nothing else: jumps are not looked at.
 */
function storeSizes(insns: InsnTable, slot: number, keySize: number): (1 | 2 | 4)[] {
  const sizes: (1 | 2 | 4)[] = new Array(keySize / 4).fill(4);
  let bottom: number | undefined;
  const first = Math.max(0, slot - REACH);
  for (let at = slot - 1; at >= first; at--) {
    const opcode = insns.opcode[at];
    if (bottom === undefined) {
      if (opcode === ADD_IMM && insns.dst[at] === 2) bottom = insns.imm[at];
      continue;
    }
    const kind = classOf(opcode);
    if ((kind !== Class.ST && kind !== Class.STX) || isAtomic(opcode) || insns.dst[at] !== FRAME_POINTER)
      continue;
    const size = accessBytes(opcode);
    const word = (insns.off[at] - bottom) >> 2;
    if (size < 4 && word >= 0 && word < sizes.length && size < sizes[word]) sizes[word] = size as 1 | 2;
  }
  return sizes;
}

const ADD_IMM = Class.ALU64 | ALU_OPS.add.code;

/** Pushes whether the key of `node` consists of `words`. */
function compare(e: Emitter, words: readonly number[], node: number, keyAt: number): void {
  const { f } = e;
  for (let i = 0; i < words.length; i += 2) {
    const pair = i + 1 < words.length;
    f.localGet(node).memory(pair ? "i64.load" : "i64.load32_u", keyAt + 4 * i);
    f.localGet(words[i]);
    if (pair)
      f.localGet(words[i + 1])
        .i64Const(32)
        .op("i64.shl")
        .op("i64.or");
    f.op("i64.eq");
    if (i > 0) f.op("i32.and");
  }
}
