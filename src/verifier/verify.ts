import { BpfError } from "../base/index.ts";
import { type Btf, BtfIndex } from "../btf/index.ts";
import { decode, type InsnTable } from "../isa/index.ts";
import { Access } from "./access/access.ts";
import { DomainMemory, scratchRow } from "./domain.ts";
import { walkProgram } from "./entry.ts";
import { VerifierEnv } from "./env.ts";
import { Rejection, Unsupported } from "./errors.ts";
import { DOMAIN_WASM_BASE64 } from "./generated/domain-wasm.ts";
import type { Verdict, VerifierError, VerifierProgram, VerifierStats, VerifyOptions } from "./input.ts";
import { Kfuncs } from "./kfuncs/port.ts";
import { VerifierLog } from "./log.ts";
import { accessAt, sourceAt } from "./places.ts";
import { fieldFindings, PreChecks } from "./prechecks.ts";
import { isKfuncCall } from "./prechecks-calls.ts";
import { Scratch } from "./scratch.ts";
import type { InsnAux } from "./state.ts";
import { currentState } from "./states.ts";
import { attachTrace } from "./trace-log.ts";
import { INSN_LIMIT } from "./walk.ts";

/** `BPF_COMPLEXITY_LIMIT_INSNS`: slots that root may load. */
const MAX_SLOTS = 1_000_000;
/** `BPF_MAXINSNS`: … that others may. */
const MAX_SLOTS_UNPRIVILEGED = 4096;
/** Memory above this is given back after a verification. */
const KEEP_WORDS = (64 * 1024 * 1024) / 4;

/**
 * Judges programs as Linux 6.18 does. Keeps the compiled domain and its memory between programs: make one for many.
 *
 * @example
 * const verifier = new Verifier();
 * const verdict = verifier.verify(program);
 * if (verdict.verdict === "rejected") report(verdict.error.message);
 */
export class Verifier {
  private readonly wasm = new WebAssembly.Module(decodeBase64(DOMAIN_WASM_BASE64));
  private memory: DomainMemory | undefined;
  /** Name indexes are large: one for each BTF, as long as it is in use. */
  private readonly indexes = new WeakMap<Btf, BtfIndex>();

  /**
   * The verdict. Rejection is a result; @throws BpfError only for input that is no program at all (`verifier/bad-input`).
   */
  verify(program: VerifierProgram, options: VerifyOptions = {}): Verdict {
    const started = options.nowUs?.() ?? 0;
    const env = this.newEnv(program, options);
    const outcome = run(env);
    const stats = statsOf(env, (options.nowUs?.() ?? 0) - started);
    if (env.mem.words > KEEP_WORDS) this.memory = undefined;
    if (env.log.level !== 0) traceStats(env, stats);
    const log = env.log.text();
    if (outcome === undefined) return { verdict: "accepted", reached: env.aux.seen, ...stats, log };
    if (outcome instanceof Unsupported) {
      return { verdict: "unsupported", feature: outcome.feature, insn: env.insn, ...stats, log };
    }
    return { verdict: "rejected", error: errorOf(env, outcome), ...stats, log };
  }

  /** The functions of a program that another one is attached to, as verifying it left them; undefined: it is not accepted. */
  private subprogsOf(target: VerifierProgram, { capabilities, numCpus }: VerifyOptions) {
    const env = this.newEnv(target, {
      ...(capabilities !== undefined && { capabilities }),
      ...(numCpus !== undefined && { numCpus }),
    });
    return run(env) === undefined ? env.subprogs : undefined;
  }

  private newEnv(program: VerifierProgram, options: VerifyOptions): VerifierEnv {
    const targetSubprogs = program.target && this.subprogsOf(program.target, options); // first: it takes the memory
    const insns = decode(program.insns);
    this.memory ??= new DomainMemory(this.wasm);
    const btfs = [program.kernelBtf, program.btf, ...(program.moduleBtfs ?? [])];
    const env = new VerifierEnv({
      program,
      options,
      insns,
      btfs,
      btfIndexes: btfs.map((btf) => btf && this.indexOf(btf)),
      log: new VerifierLog(options.logLevel ?? 0, options.logLimit ?? 1 << 24),
      mem: this.memory,
      access: new Access(),
      kfuncs: new Kfuncs(),
      pre: new PreChecks(),
      aux: newAux(insns.length),
      cur: currentState(),
      gplCompatible: isGplCompatible(program.license),
      targetSubprogs,
      findings: fieldFindings(insns),
    });
    const unbound = scratchRow(Scratch.UNBOUND);
    env.domain.zeroWords(unbound, 24);
    env.domain.markUnknown(unbound);
    if (env.log.traces) attachTrace(env);
    return env;
  }

  private indexOf(btf: Btf): BtfIndex {
    let index = this.indexes.get(btf);
    if (index === undefined) {
      index = new BtfIndex(btf);
      this.indexes.set(btf, index);
    }
    return index;
  }
}

/** Judges one program; see {@link Verifier} for many. */
export function verify(program: VerifierProgram, options: VerifyOptions = {}): Verdict {
  return new Verifier().verify(program, options);
}

/** Undefined: accepted. */
function run(env: VerifierEnv): Rejection | Unsupported | undefined {
  try {
    checkSize(env, env.insns);
    env.pre.prepare(env);
    walkProgram(env);
    env.pre.finish(env);
    checkKfuncsResolved(env);
    return undefined;
  } catch (error) {
    if (error instanceof Rejection || error instanceof Unsupported) return error;
    throw error;
  }
}

/** A call of a kernel function that does not exist must turn out to be dead code. `fixup_kfunc_call` */
function checkKfuncsResolved(env: VerifierEnv): void {
  const { insns, aux } = env;
  for (let insn = 0; insn < insns.length; insn++) {
    if (aux.seen[insn] === 0 || !isKfuncCall(insns, insn) || insns.imm[insn] !== 0) continue;
    env.fail("verifier/bad-kfunc-call", "invalid kernel function call not eliminated in verifier pass");
  }
}

function checkSize(env: VerifierEnv, insns: InsnTable): void {
  const limit = env.bpfCapable ? MAX_SLOTS : MAX_SLOTS_UNPRIVILEGED;
  if (insns.length === 0 || insns.length > limit) {
    env.fail(
      "verifier/program-size",
      `program has ${insns.length} instructions, 1 to ${limit} are allowed`,
      "E2BIG",
    );
  }
}

function errorOf(env: VerifierEnv, rejection: Rejection): VerifierError {
  const lines = env.log.recentLines();
  const source = env.insn < 0 ? undefined : sourceAt(env.program, env.insn);
  const access = accessAt(env.program, env.insn);
  return {
    code: rejection.code,
    message: rejection.message,
    lines: lines.length > 0 ? lines : [rejection.message],
    errno: rejection.errno,
    insn: env.insn,
    ...(source !== undefined && { source }),
    ...(access !== undefined && { access }),
  };
}

function statsOf(env: VerifierEnv, timeUs: number): VerifierStats {
  return {
    insnsProcessed: env.insnsProcessed,
    states: env.explored.total,
    peakStates: env.explored.peak,
    maxStatesPerInsn: env.explored.maxPerInsn,
    stackDepths: env.subprogs.map((subprog) => subprog.stackDepth),
    timeUs,
    memoryBytes: env.pool.peakBytes,
  };
}

/** The log's last lines. `print_verification_stats` */
function traceStats(env: VerifierEnv, stats: VerifierStats): void {
  const { log } = env;
  if ((log.level & 4) !== 0) {
    log.trace(`verification time ${Math.round(stats.timeUs)} usec\n`);
    log.trace(`stack depth ${stats.stackDepths.join("+")}\n`);
  }
  const limit = env.options.insnLimit ?? INSN_LIMIT;
  log.trace(
    `processed ${stats.insnsProcessed} insns (limit ${limit}) max_states_per_insn ${stats.maxStatesPerInsn} ` +
      `total_states ${stats.states} peak_states ${stats.peakStates} mark_read 0\n`,
  );
}

function newAux(length: number): InsnAux {
  return {
    prunePoint: new Uint8Array(length),
    forceCheckpoint: new Uint8Array(length),
    jumpPoint: new Uint8Array(length),
    callsCallback: new Uint8Array(length),
    scc: new Int32Array(length),
    liveRegs: new Uint16Array(length),
    seen: new Uint8Array(length),
    pointerType: new Int32Array(length),
    mapIndex: new Int32Array(length),
    mapOffset: new Int32Array(length),
    loadType: new Int32Array(length),
    loadTypeArg: new Int32Array(length),
    loadTypeBtf: new Uint8Array(length),
    marks: new Uint8Array(length),
  };
}

/** @see include/linux/license.h `license_is_gpl_compatible` */
function isGplCompatible(license: string): boolean {
  return GPL_COMPATIBLE.has(license);
}

const GPL_COMPATIBLE: ReadonlySet<string> = new Set([
  "GPL",
  "GPL v2",
  "GPL and additional rights",
  "Dual BSD/GPL",
  "Dual MIT/GPL",
  "Dual MPL/GPL",
]);

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw new BpfError("verifier/bad-input", "the embedded domain is damaged", { cause });
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
