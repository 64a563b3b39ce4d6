// Programs that no verifier lets through: random ones with instructions changed, and with a beginning that writes into the
// kernel's own structures. Their form is right, so that an engine takes them.
import { checkStructure, decode } from "../../src/isa/index.ts";
import { Random, type RandomCase, randomCase } from "../differential/random-program.ts";
import { mutateInsns } from "../verifier/soundness.ts";

const LDDW = 0x18;
const PSEUDO_MAP_FD = 1;
const LOAD_WORD = 0x61;
const STORE_WORD = 0x63;
const MOV64_REG = 0xbf;
const MOV64_IMM = 0xb7;
const ADD64_IMM = 0x07;
/** What a beginning works with: registers that programs set themselves before they read them. */
const AT = 6;
const VALUE = 7;
/** Attempts to change an instruction so that the form stays right. */
const TRIES = 20;

/** A case of `differential/random-program.ts` that means harm. */
export function hostileCase(seed: number): RandomCase {
  const test = randomCase(seed);
  const random = new Random(~seed);
  const changed = random.chance(60);
  const programs = test.programs.map(({ insns, functions }) => {
    const after = changed ? withChanges(insns, random) : insns;
    if (changed && random.chance(50)) return { insns: after, functions };
    const before = vandalism(random, test.maps.length);
    return {
      insns: joined(before, after),
      functions: functions.map((slot) => (slot === 0 ? 0 : slot + before.length / 8)),
    };
  });
  return { ...test, programs };
}

/** One in eighty instructions, and those around it, are not what they were. */
function withChanges(insns: Uint8Array, random: Random): Uint8Array {
  let now = insns;
  for (let n = Math.ceil(insns.length / 640); n > 0; n--) {
    for (let tries = 0; tries < TRIES; tries++) {
      const next = mutateInsns(now, random);
      if (checkStructure(decode(next)).length > 0) continue;
      now = next;
      break;
    }
  }
  return now;
}

/**
 * Some writes, each from the header of a map: along none to three pointers, and there a small number, an address near by
 * or the very address written to, which makes rings of chains. What has no maps writes around its context.
 */
function vandalism(random: Random, maps: number): Uint8Array {
  const out: number[] = [];
  const emit = (opcode: number, dst: number, src: number, off: number, imm: number) => {
    const insn = new Uint8Array(8);
    insn[0] = opcode;
    insn[1] = dst | (src << 4);
    new DataView(insn.buffer).setInt16(2, off, true);
    new DataView(insn.buffer).setInt32(4, imm, true);
    out.push(...insn);
  };
  for (let n = 1 + random.below(8); n > 0; n--) {
    if (maps === 0) emit(MOV64_REG, AT, 1, 0, 0);
    else {
      emit(LDDW, AT, PSEUDO_MAP_FD, 0, random.below(maps));
      emit(0, 0, 0, 0, 0);
    }
    for (let steps = random.below(4); steps > 0; steps--) emit(LOAD_WORD, AT, AT, 4 * random.below(40), 0);
    emit(MOV64_REG, VALUE, AT, 0, 0);
    if (random.chance(30))
      emit(MOV64_IMM, VALUE, 0, 0, random.pick([0, 1, -1, 4, 0x7fffffff, random.u32() | 0]));
    else if (random.chance(50)) emit(ADD64_IMM, VALUE, 0, 0, 8 * (random.below(64) - 32));
    emit(STORE_WORD, AT, VALUE, random.chance(40) ? 0 : 4 * (random.below(64) - 16), 0);
  }
  return Uint8Array.from(out);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
