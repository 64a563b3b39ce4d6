// Flow graph, loops and live registers of random programs against what the running kernel prints about them.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encode, type Insn, tableOf } from "../../src/isa/index.ts";
import { outcome, testEnv } from "../../src/verifier/prechecks.fixture.ts";
import { LinuxOracle } from "../differential/kernel.ts";

let oracle: LinuxOracle | string;
beforeAll(async () => {
  oracle = await LinuxOracle.open();
});
afterAll(() => {
  if (typeof oracle !== "string") oracle.close();
});

/** Numbers in [0, bound) from a seed; xorshift. */
function randomOf(seed: number): (bound: number) => number {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % bound;
  };
}

type Random = (bound: number) => number;

const word = (opcode: number, dst = 0, src = 0, off = 0, imm = 0): Insn => ({ opcode, dst, src, off, imm });
const isWide = (insn: Insn | undefined) => insn?.opcode === 0x18;

/** One instruction; `jump` and `call` give distances. */
function randomInsn(random: Random, jump: () => number, call: () => number): Insn[] {
  const register = () => random(10);
  switch (random(14)) {
    case 0:
      return [word(0x05, 0, 0, jump())]; // goto
    case 1:
      return [word(0x06, 0, 0, 0, jump())]; // gotol
    case 2:
    case 3:
      return [word(0x15, register(), 0, jump(), random(5))]; // if r == imm
    case 4:
      return [word(0x2d, register(), register(), jump())]; // if r > r
    case 5:
      return [word(0xe5, 0, 0, jump())]; // may_goto
    case 6:
      return [word(0x18, register(), 0, 0, 7), word(0)]; // lddw
    case 7:
      return [word(0x85, 0, 0, 0, [1, 2, 5, 7, 8, 12, 28, 69, 181][random(9)])]; // helper
    case 8:
      return [word(0x85, 0, 1, 0, call())]; // local call
    case 9:
      return [word(0x18, 2, 4, 0, call()), word(0)]; // function address
    case 10:
      return [word([0x79, 0x71, 0x81][random(3)], register(), register(), -8)]; // loads
    case 11:
      return [word(0xdb, 10, register(), -8, [0, 1, 0x41, 0xe1, 0xf1, 0x100, 0x110][random(7)])]; // atomics
    case 12:
      return random(4) === 0
        ? [word(0xd4, register(), 0, 0, 16)] // le16
        : [word([0x0f, 0xbf, 0x1c][random(3)], register(), register())];
    default:
      return random(3) === 0 ? [word(0x95)] : [word(0xb7, register(), 0, 0, random(100))];
  }
}

/** Wild jumps and calls: nearly always rejected. */
function wildProgram(random: Random): Insn[] {
  const insns: Insn[] = [];
  const length = 3 + random(20);
  while (insns.length < length) {
    insns.push(
      ...randomInsn(
        random,
        () => random(9) - (random(3) === 0 ? 6 : 0),
        () => random(12) - 2,
      ),
    );
  }
  return [...insns, word(0x95)];
}

/** Functions that are all called, jumps inside them, and little that skips the next instruction: mostly walked. */
function tameProgram(random: Random): Insn[] {
  const functions = 1 + random(3);
  const insns: Insn[] = [];
  const starts: number[] = [];
  for (let index = 0; index < functions; index++) {
    const start = insns.length;
    starts.push(start);
    if (index === 0)
      for (let callee = 1; callee < functions; callee++) insns.push(word(0x85, 0, 1, 0, callee));
    const length = insns.length + 3 + random(20);
    while (insns.length < length) {
      const next = randomInsn(
        random,
        () => random(1000),
        () => random(functions),
      );
      const skips = next[0].opcode === 0x95 || next[0].opcode === 0x05 || next[0].opcode === 0x06;
      if (!skips || random(20) === 0) insns.push(...next);
    }
    insns.push(word(0x95));
    // What stood for a distance becomes one to an instruction of the function.
    for (let slot = start; slot < insns.length; slot++) {
      const { opcode, off, imm } = insns[slot];
      if (isWide(insns[slot])) slot++;
      const jumps = [0x05, 0x06, 0x15, 0x2d, 0xe5].includes(opcode);
      if (!jumps) continue;
      let target = start + ((opcode === 0x06 ? imm : off) % (insns.length - start));
      if (target > start && isWide(insns[target - 1])) target--;
      const distance = target - slot - 1;
      insns[slot] = { ...insns[slot], ...(opcode === 0x06 ? { imm: distance } : { off: distance }) };
    }
  }
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot];
    const names = (insn.opcode === 0x85 && insn.src === 1) || (isWide(insn) && insn.src === 4);
    if (names) insns[slot] = { ...insn, imm: starts[insn.imm] - slot - 1 };
    if (isWide(insn)) slot++;
  }
  return insns;
}

function randomProgram(seed: number): Uint8Array {
  const random = randomOf(seed);
  return encode(tableOf(seed % 4 === 0 ? wildProgram(random) : tameProgram(random)));
}

/** Live registers as the kernel prints them, loop numbers before them. */
function linesOf(log: string): string[] {
  const lines: string[] = [];
  for (const [, loop, slot, live] of log.matchAll(/^ *(\d+ )? *(\d+): ([0-9.]{10}) \(/gm)) {
    lines.push(`${Number(loop ?? 0)} ${slot} ${live}`);
  }
  return lines;
}

describe("flow of random programs", () => {
  it("is what the running kernel prints", { timeout: 300_000 }, async (context) => {
    if (typeof oracle === "string") return context.skip(oracle);
    let walked = 0;
    let rejected = 0;
    for (let seed = 1; seed <= 2000; seed++) {
      const insns = randomProgram(seed);
      const { log } = await oracle.verifierLog("BPF_PROG_TYPE_SCHED_CLS", insns, 2);
      const theirs = linesOf(log);
      const env = testEnv({ insns, type: "BPF_PROG_TYPE_SCHED_CLS" });
      const ours = outcome(() => env.pre.prepare(env));
      if (theirs.length === 0) {
        rejected++;
        const lines = log
          .trim()
          .split("\n")
          .filter((line) => !/^(processed|func#)/.test(line));
        expect(ours, `seed ${seed}`).toBe(lines[lines.length - 1]);
        continue;
      }
      walked++;
      expect(ours, `seed ${seed}`).toBe("fine");
      const printed: string[] = [];
      for (let slot = 0; slot < env.insns.length; slot += env.insns.opcode[slot] === 0x18 ? 2 : 1) {
        let live = "";
        for (let n = 0; n < 10; n++) live += env.aux.liveRegs[slot] & (1 << n) ? n : ".";
        printed.push(`${env.aux.scc[slot]} ${slot} ${live}`);
      }
      expect(printed, `seed ${seed}`).toEqual(theirs);
    }
    expect(walked).toBeGreaterThan(100);
    expect(rejected).toBeGreaterThan(100);
  });
});
