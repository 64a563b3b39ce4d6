import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assemble, Opcode } from "../../isa/index.ts";
import { successors } from "../cfg-edges.ts";
import type { VerifierEnv } from "../env.ts";
import { CURRENT_AT, F_CALLSITE, F_SUBPROG, FRAME_WORDS } from "../layout.ts";
import { testEnv } from "../prechecks.fixture.ts";

function prepared(text: string, logLevel = 0): VerifierEnv {
  const env = testEnv({ insns: assemble(text).bytes, logLevel });
  env.pre.prepare(env);
  return env;
}

/** Puts the walk into the functions of a chain of calls: `[subprog, callsite]` of each frame. */
function stand(
  env: VerifierEnv,
  insn: number,
  ...chain: readonly (readonly [subprog: number, callsite: number])[]
): void {
  const { cur } = env;
  chain.forEach(([subprog, callsite], frame) => {
    const at = CURRENT_AT + frame * FRAME_WORDS;
    cur.frames[frame] = at;
    env.mem.i32[at + F_SUBPROG] = subprog;
    env.mem.i32[at + F_CALLSITE] = callsite;
  });
  cur.curFrame = chain.length - 1;
  cur.insn = insn;
  env.pre.stackLiveness.resetCallchain(env);
}

/** One instruction of the walk: slots it reads and overwrites, as bit masks by frame. */
function step(env: VerifierEnv, insn: number, reads: readonly number[], writes: readonly number[]): void {
  const { stackLiveness } = env.pre;
  stackLiveness.resetWriteMarks(env, insn);
  reads.forEach((mask, frame) => {
    if (mask !== 0) stackLiveness.markRead(env, frame, insn, mask, 0);
  });
  writes.forEach((mask, frame) => {
    if (mask !== 0) stackLiveness.markWrite(env, frame, mask, 0);
  });
  stackLiveness.commitWriteMarks(env);
}

function aliveAt(env: VerifierEnv, insn: number, frame: number, slot: number): boolean {
  env.cur.insn = insn;
  env.pre.stackLiveness.queryInit(env, env.cur);
  return env.pre.stackLiveness.isAlive(env, frame, slot);
}

const MAIN = [0, -1] as const;

describe("stack liveness", () => {
  it("is that of the paths, whatever the graph", () => {
    const length = 12;
    const insn = fc.record({
      kind: fc.constantFrom("plain", "plain", "branch", "loop"),
      by: fc.integer({ min: 0, max: length }),
      reads: fc.constantFrom(0, 0, 1, 2, 3),
      writes: fc.constantFrom(0, 0, 1, 2, 3),
    });
    fc.assert(
      fc.property(fc.array(insn, { minLength: length, maxLength: length }), (program) => {
        const lines = program.map(({ kind, by }, slot) => {
          if (kind === "plain") return "r0 = 0";
          return `if r0 == 0 goto l${kind === "loop" ? by % (slot + 1) : slot + 1 + (by % (length - slot))}`;
        });
        const text = `${lines.map((line, slot) => `l${slot}: ${line}`).join("\n")}\nl${length}: exit`;
        const env = prepared(text);
        stand(env, 0, MAIN);
        program.forEach(({ reads, writes }, slot) => {
          step(env, slot, [reads], [writes]);
        });
        env.pre.stackLiveness.update(env);
        for (let slot = 0; slot < length; slot++) {
          for (const stackSlot of [0, 1]) {
            expect(aliveAt(env, slot, 0, stackSlot)).toBe(mayBeRead(env, program, slot, stackSlot));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("takes a write back that one visit did not do", () => {
    const env = prepared("r0 = 0\nr0 = 1\nr0 = 2\nexit");
    stand(env, 0, MAIN);
    step(env, 1, [], [1]);
    step(env, 2, [1], []);
    env.pre.stackLiveness.update(env);
    expect(aliveAt(env, 0, 0, 0)).toBe(false);
    step(env, 1, [], []);
    env.pre.stackLiveness.update(env);
    expect(aliveAt(env, 0, 0, 0)).toBe(true);
  });

  it("follows reads and writes of a callee into its caller's frame", () => {
    const env = prepared("r0 = 0\ncall f\nr0 = 0\nexit\nf: r0 = 0\nr0 = 1\nexit");
    stand(env, 4, MAIN, [1, 1]);
    step(env, 4, [0b01], [0b10]); // f reads slot 0 of main and overwrites slot 1
    env.pre.stackLiveness.update(env);
    stand(env, 2, MAIN);
    step(env, 2, [0b110], []); // main reads slots 1 and 2 afterwards
    env.pre.stackLiveness.update(env);
    expect([0, 1, 2].map((slot) => aliveAt(env, 0, 0, slot))).toEqual([true, false, true]);
    stand(env, 5, MAIN, [1, 1]);
    // behind its own instruction the callee needs what main still reads
    expect([0, 1, 2].map((slot) => aliveAt(env, 5, 0, slot))).toEqual([false, true, true]);
  });

  it("keeps chains of calls apart", () => {
    const env = prepared("call f\ncall f\nexit\nf: r0 = 0\nexit");
    stand(env, 3, MAIN, [1, 0]);
    step(env, 3, [1], []);
    env.pre.stackLiveness.update(env);
    stand(env, 3, MAIN, [1, 1]);
    step(env, 3, [0], []);
    env.pre.stackLiveness.update(env);
    expect(aliveAt(env, 3, 0, 0)).toBe(false); // called from slot 1
    stand(env, 3, MAIN, [1, 0]);
    expect(aliveAt(env, 3, 0, 0)).toBe(true);
  });

  it("does not count on what follows a tail call", () => {
    const env = prepared("call f\nr0 = 0\nexit\nf: r0 = 0\nexit");
    env.insns.opcode[3] = Opcode.CALL; // only now: it takes BTF to get past prepare()
    env.insns.imm[3] = 12;
    stand(env, 4, MAIN, [1, 0]);
    step(env, 4, [], [1]);
    step(env, 3, [], []);
    env.pre.stackLiveness.update(env);
    stand(env, 1, MAIN);
    step(env, 1, [1], []);
    env.pre.stackLiveness.update(env);
    expect(aliveAt(env, 0, 0, 0)).toBe(true);
  });

  it("prints changes as the kernel does", () => {
    const env = prepared("r0 = 0\nr0 = 1\nexit", 2);
    stand(env, 0, MAIN);
    step(env, 0, [], [1]);
    step(env, 1, [0b101], []);
    env.log.truncate(0);
    env.pre.stackLiveness.update(env);
    expect(env.log.text().split("\n")).toEqual([
      "(0) frame 0 insn 1 +live -8,-24 ",
      "(0) frame 0 insn 0 +live -24 ",
      "(0) frame 0 insn 0 +written -8 ",
      "(0) live stack update done in 2 iterations",
      "",
    ]);
  });
});

/** There is a path from `from` to a read of the slot that does not overwrite it before. */
function mayBeRead(
  env: VerifierEnv,
  program: readonly { readonly reads: number; readonly writes: number }[],
  from: number,
  stackSlot: number,
): boolean {
  const seen = new Set<number>();
  const pending = [from];
  const next = new Int32Array(2);
  for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
    if (seen.has(slot) || slot >= program.length) continue;
    seen.add(slot);
    if (program[slot].reads & (1 << stackSlot)) return true;
    if (program[slot].writes & (1 << stackSlot)) continue;
    const edges = successors(env.insns, slot, next);
    for (let edge = 0; edge < edges; edge++) pending.push(next[edge]);
  }
  return false;
}
