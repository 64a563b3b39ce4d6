// One algorithm: is every concrete register value inside the abstract state that the verifier recorded there?
//
// A program is verified without pruning, so that each path is walked and recorded on its own, and run in the checked
// interpreter with a budget of 1, 2, 3 … instructions: what it holds when the budget ends must lie in one of the states
// recorded at that instruction. Apart from that, the program as Linux would verify it (with pruning) must run without a
// violation.
import { BpfError } from "../../src/base/index.ts";
import { type BtfBuilder, BtfBuilder as Builder } from "../../src/btf/index.ts";
import type { CollectionSpec } from "../../src/object/index.ts";
import type { EmbeddedKernel } from "../../src/runtime/index.ts";
import type { Interpreter } from "../../src/runtime/interpreter.ts";
import {
  MACHINE_CONTEXT,
  MACHINE_DATA_END,
  MACHINE_DEPTH,
  MACHINE_STACK,
  STACK_BYTES,
} from "../../src/runtime/layout.ts";
import { type RegisterView, readRegister } from "../../src/runtime/registers.ts";
import type { VerifierEnv } from "../../src/verifier/env.ts";
import { type Verifier, type VerifierProgram, verifierProgram } from "../../src/verifier/index.ts";
import {
  A,
  C,
  FRAME_REGS,
  OFF,
  ROW_WORDS,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TYPE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "../../src/verifier/layout.ts";
import { baseType, mayBeNull, RegType } from "../../src/verifier/register-types.ts";
import { Random, type RandomCase } from "../differential/random-program.ts";
import { specOf } from "../differential/run-case.ts";

/** What became of a case. */
export interface SoundnessResult {
  /** `refused`: accepted, but the embedded kernel checks the form of dead code too and does not load it. */
  readonly outcome: "rejected" | "unsupported" | "refused" | "run";
  /** Registers compared. */
  readonly compared: number;
  /** What is wrong, for people; empty when all is well. */
  readonly problems: readonly string[];
}

/** Processed instructions up to which a case is recorded: without pruning, paths multiply. */
const MAX_RECORDED = 6000;
/** Steps at which a run is looked at; of longer runs a sample. */
const MAX_LOOKS = 60;
/** Instructions a run may take. */
const RUN_BUDGET = 2_000_000;

/** The case with some instructions of its first program changed at random: most are rejected, the rest is interesting. */
export function mutated(test: RandomCase, seed: number): RandomCase {
  const [first, ...rest] = test.programs;
  return { ...test, programs: [{ ...first, insns: mutateInsns(first.insns, new Random(seed)) }, ...rest] };
}

/** A copy with one to three instructions changed; wide loads and calls stay. */
export function mutateInsns(original: Uint8Array, random: Random): Uint8Array {
  const insns = original.slice();
  const view = new DataView(insns.buffer);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(insns.length / 8) * 8;
    const opcode = insns[at];
    if (opcode === 0x18 || opcode === 0 || opcode === 0x85) continue;
    switch (random.below(5)) {
      case 0:
        view.setInt32(at + 4, random.pick([0, 1, -1, 7, 8, 63, 64, 255, 0x7fffffff, -0x80000000]), true);
        break;
      case 1:
        view.setInt16(at + 2, random.pick([0, 1, -1, 2, 8, -8, -16, -64]), true);
        break;
      case 2:
        insns[at + 1] = (insns[at + 1] & 0xf0) | random.below(11);
        break;
      case 3:
        insns[at + 1] = (insns[at + 1] & 0x0f) | (random.below(11) << 4);
        break;
      default:
        insns[at] ^= random.pick([0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x30]);
    }
  }
  return insns;
}

/** Checks a case. The kernel must be an embedded one with the interpreter and zeroed stacks. */
export async function checkCase(
  test: RandomCase,
  verifier: Verifier,
  kernel: EmbeddedKernel,
): Promise<SoundnessResult> {
  const spec = withFunctionTypes(specOf(test));
  const inputs = spec.programs.map((program) => verifierProgram(spec, program));
  for (const program of inputs) {
    const verdict = verifier.verify(program, { insnLimit: 200_000 });
    if (verdict.verdict !== "accepted") return { outcome: verdict.verdict, compared: 0, problems: [] };
  }
  const problems: string[] = [];
  const recorded = record(verifier, inputs[0]);
  let loaded: Awaited<ReturnType<EmbeddedKernel["load"]>>;
  try {
    loaded = await kernel.load(spec);
  } catch (error) {
    if (error instanceof BpfError) return { outcome: "refused", compared: 0, problems };
    throw error;
  }
  using collection = loaded;
  for (const map of test.maps) {
    for (const { key, value } of map.entries) collection.maps.get(map.name)!.update(key, value);
  }
  const program = collection.programs.get(spec.programs[0].name)!;
  let compared = 0;
  for (const [i, data] of test.packets.entries()) {
    const ctx = test.contexts[i];
    const run = (maxInsns: number) => program.run({ data, ...(ctx && { ctx }), maxInsns });
    let insns = 0;
    try {
      insns = run(RUN_BUDGET).insns ?? 0;
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      if (error.code.startsWith("runtime/") && !ALLOWED.has(error.code)) {
        problems.push(
          `packet ${i}: accepted, but runs into ${error.code} at ${error.insn}: ${error.message}`,
        );
      }
      continue;
    }
    // tail calls leave the program whose states are recorded
    if (recorded === undefined || spec.programs.length > 1) continue;
    const stride = Math.max(1, Math.floor(insns / MAX_LOOKS));
    for (let budget = 1; budget < insns; budget += stride) {
      const look = stopped(kernel, run, budget);
      if (look === undefined) continue;
      const found = compare(look, recorded.get(look.insn), look.insn);
      compared += found.compared;
      if (found.problem !== undefined) problems.push(`packet ${i}, step ${budget}: ${found.problem}`);
    }
  }
  return { outcome: "run", compared, problems };
}

/** Rules that the verifier does not promise: a bounded run, and what a test host lacks. */
const ALLOWED: ReadonlySet<string> = new Set(["runtime/budget"]);

/** The spec with BTF for its functions, which the verifier asks of callbacks. */
export function withFunctionTypes(spec: CollectionSpec): CollectionSpec {
  const builder: BtfBuilder = new Builder();
  const type = builder.add({
    kind: "func_proto",
    name: "",
    type: builder.int("long", 8, { signed: true }),
    params: [{ name: "ctx", type: builder.ptr(0) }],
  });
  const btfId = builder.add({ kind: "func", name: "f", type, linkage: "static" });
  const programs = spec.programs.map((program) => ({
    ...program,
    funcs: program.funcs.map((row) => ({ ...row, btfId })),
  }));
  return { ...spec, programs, btf: builder.build() };
}

// -- abstract -------------------------------------------------------------------------------------------------------------

/** Registers of the innermost frame as the verifier knew them, {@link FRAME_REGS} rows. */
interface Snapshot {
  readonly frame: number;
  readonly rows: Int32Array;
}

/** Everything that was known before each instruction on any path; undefined when that is too much to hold. */
function record(verifier: Verifier, program: VerifierProgram): Map<number, Snapshot[]> | undefined {
  const recorded = new Map<number, Snapshot[]>();
  const onState = (insn: number, opaque: unknown): void => {
    const env = opaque as VerifierEnv; // what `onState` gives tools
    env.aux.prunePoint.fill(0);
    const from = env.reg(0);
    const snapshot = {
      frame: env.cur.curFrame,
      rows: env.mem.i32.slice(from, from + FRAME_REGS * ROW_WORDS),
    };
    const list = recorded.get(insn);
    if (list === undefined) recorded.set(insn, [snapshot]);
    else list.push(snapshot);
  };
  const verdict = verifier.verify(program, { onState, insnLimit: MAX_RECORDED });
  return verdict.verdict === "accepted" ? recorded : undefined;
}

// -- concrete -------------------------------------------------------------------------------------------------------------

/** A run in the middle. */
interface Look {
  readonly insn: number;
  readonly depth: number;
  readonly registers: readonly RegisterView[];
  readonly stackTop: (frame: number) => number;
  readonly context: number;
  readonly dataEnd: number;
}

/** The run after `budget` instructions; undefined when it ended before, or inside a helper. */
function stopped(kernel: EmbeddedKernel, run: (budget: number) => unknown, budget: number): Look | undefined {
  try {
    run(budget);
    return undefined;
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== "runtime/budget" || error.insn === undefined)
      return undefined;
    // The machine that ran is the one given back last; its memory is as the run left it.
    const { interpreter } = kernel as unknown as {
      interpreter: { idle: readonly number[]; module: Interpreter["module"] };
    };
    const machine = interpreter.idle.at(-1)!;
    const { memory } = interpreter.module;
    const { view } = memory;
    const depth = view.getUint32(machine + MACHINE_DEPTH, true);
    return {
      insn: error.insn,
      depth,
      registers: Array.from({ length: FRAME_REGS }, (_, n) => readRegister(memory, machine, depth, n)),
      stackTop: (frame) => machine + MACHINE_STACK + (frame + 1) * STACK_BYTES,
      context: view.getUint32(machine + MACHINE_CONTEXT, true),
      dataEnd: view.getUint32(machine + MACHINE_DATA_END, true),
    };
  }
}

function compare(
  look: Look,
  states: readonly Snapshot[] | undefined,
  insn: number,
): { compared: number; problem?: string } {
  const here = (states ?? []).filter(({ frame }) => frame === look.depth);
  if (here.length === 0)
    return { compared: 0, problem: `instruction ${insn} was never walked in frame ${look.depth}` };
  let nearest = "";
  for (const { rows } of here) {
    const wrong = look.registers.findIndex((register, n) => !holds(rows, n * ROW_WORDS, register, look));
    if (wrong < 0) return { compared: FRAME_REGS };
    nearest = `r${wrong} = ${look.registers[wrong].value} (kind ${look.registers[wrong].kind}) is outside of ${describe(rows, wrong * ROW_WORDS)}`;
  }
  return {
    compared: FRAME_REGS,
    problem: `instruction ${insn}: ${nearest} and ${here.length - 1} other states`,
  };
}

function holds(rows: Int32Array, at: number, register: RegisterView, look: Look): boolean {
  const type = rows[at + TYPE];
  const { value } = register;
  const off = BigInt(rows[at + OFF]);
  if (type === RegType.NOT_INIT) return true;
  if (type === RegType.SCALAR_VALUE) return inRange(rows, at, value);
  if (mayBeNull(type) && value === 0n) return true;
  switch (baseType(type)) {
    case RegType.PTR_TO_STACK:
      return inRange(rows, at, value - BigInt(look.stackTop(rows[at + C])) - off);
    case RegType.PTR_TO_CTX:
      return inRange(rows, at, value - BigInt(look.context) - off);
    case RegType.PTR_TO_MAP_VALUE:
      return value !== 0n && inRange(rows, at, value - BigInt(register.base) - off);
    case RegType.PTR_TO_PACKET: {
      const range = rows[at + A];
      return range <= 0 || value - off + BigInt(range) <= BigInt(look.dataEnd);
    }
    default:
      return true;
  }
}

const u64 = (rows: Int32Array, at: number): bigint =>
  (BigInt(rows[at + 1] >>> 0) << 32n) | BigInt(rows[at] >>> 0);
const s64 = (rows: Int32Array, at: number): bigint => BigInt.asIntN(64, u64(rows, at));

function inRange(rows: Int32Array, at: number, number: bigint): boolean {
  const value = BigInt.asUintN(64, number);
  const signed = BigInt.asIntN(64, number);
  const low = Number(value & 0xffffffffn);
  return (
    (value & ~u64(rows, at + VAR_MASK)) === u64(rows, at + VAR_VALUE) &&
    value >= u64(rows, at + UMIN) &&
    value <= u64(rows, at + UMAX) &&
    signed >= s64(rows, at + SMIN) &&
    signed <= s64(rows, at + SMAX) &&
    low >= rows[at + U32_MIN] >>> 0 &&
    low <= rows[at + U32_MAX] >>> 0 &&
    (low | 0) >= rows[at + S32_MIN] &&
    (low | 0) <= rows[at + S32_MAX]
  );
}

function describe(rows: Int32Array, at: number): string {
  return `type ${rows[at + TYPE]} off ${rows[at + OFF]} tnum ${u64(rows, at + VAR_VALUE).toString(16)}/${u64(rows, at + VAR_MASK).toString(16)} u64 ${u64(rows, at + UMIN)}..${u64(rows, at + UMAX)} s64 ${s64(rows, at + SMIN)}..${s64(rows, at + SMAX)} u32 ${rows[at + U32_MIN] >>> 0}..${rows[at + U32_MAX] >>> 0} s32 ${rows[at + S32_MIN]}..${rows[at + S32_MAX]} range ${rows[at + A]}`;
}
