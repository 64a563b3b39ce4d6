// One algorithm: the way of a rejected program's offending value, followed backwards along the path that was rejected.
import { HELPERS } from "../abi/index.ts";
import type { SourceLocation } from "../base/index.ts";
import {
  Class,
  CODE_MASK,
  classOf,
  decode,
  disassembleAt,
  type InsnTable,
  isConditionalJump,
  isHelperCall,
  isLocalCall,
  isWide,
  jumpTarget,
  Opcode,
  PseudoCall,
  usesSourceRegister,
} from "../isa/index.ts";
import { describeRegister, describeSlot } from "./describe.ts";
import type { VerifierEnv } from "./env.ts";
import type { VerifierCode } from "./errors.ts";
import { type Held, heldAt, lastLock } from "./held.ts";
import type { CoreAccess, Verdict, VerifierError, VerifierProgram, VerifyOptions } from "./input.ts";
import { accessAt, sourceAt } from "./places.ts";
import { type Step, WalkTrace } from "./trace.ts";
import { Verifier } from "./verify.ts";

/** What a link of the chain did to the value. */
export type CauseKind =
  /** The value was made here: a constant, a load, a result. */
  | "origin"
  /** It was computed from or copied from another value that is followed from here on. */
  | "derived"
  /** A comparison taught something about it. */
  | "learned"
  /** Something known of it was forgotten here. */
  | "lost"
  /** The instruction that was refused. */
  | "refused";

/** One link between an origin and the refusal. */
export interface Cause {
  readonly kind: CauseKind;
  readonly insn: number;
  /** The instruction in LLVM's syntax, names for helpers and maps. */
  readonly text: string;
  /** `"r1"` or `"fp-8"`; of a caller with `" of the caller"`. */
  readonly place: string;
  /** What was known of the place after the instruction (before it, for the refused one). */
  readonly known: string;
  readonly source?: SourceLocation;
  /** Type and field, where CO-RE says. */
  readonly access?: CoreAccess;
}

/** A conditional jump on the rejected path. */
export interface Branch {
  readonly insn: number;
  readonly taken: boolean;
  readonly text: string;
  readonly source?: SourceLocation;
}

/** Why a program was rejected, in steps. */
export interface Explanation {
  /** Oldest first; the last one is the refused instruction. Empty for rejections before the walk. */
  readonly causes: readonly Cause[];
  /** Conditional jumps on the path, oldest first; the last {@link MAX_BRANCHES} of them. */
  readonly path: readonly Branch[];
  /** Conditional jumps on the whole path. */
  readonly pathLength: number;
}

/** Links shown; of a longer chain the middle is left out. */
const MAX_CAUSES = 16;
/** Jumps kept of the path. */
export const MAX_BRANCHES = 32;
/** Steps of the path that are looked at. */
const MAX_STEPS = 20_000;

/**
 * How a rejection came about. Verifies the program twice more with the same options, so it costs three verifications in
 * all; nothing is recorded while no explanation is wanted. Give it the {@link Verifier} that judged the program: a new one
 * has to index the kernel's types again.
 */
export function explainRejection(
  program: VerifierProgram,
  error: VerifierError,
  options: VerifyOptions = {},
  verifier: Verifier = new Verifier(),
): Explanation {
  const none: Explanation = { causes: [], path: [], pathLength: 0 };
  if (error.insn < 0) return none;
  const quiet: VerifyOptions = { ...options, logLevel: 0 };
  const trace = new WalkTrace();
  if (!sameRejection(verifier.verify(program, { ...quiet, onState: observer(trace.record) }), error))
    return none;
  const walked = trace.pathTo(trace.last, MAX_STEPS);
  const insns = decode(program.insns);
  const reporter = new Reporter(program, insns);
  const branches = branchesOf(walked, insns, reporter);
  const whole = { path: branches.slice(-MAX_BRANCHES), pathLength: branches.length };
  // A loop is refused before its instruction is walked again: the round before tells how it came back.
  const path = walked.slice(0, walked.findLastIndex(({ insn }) => insn === error.insn) + 1);
  if (path.length === 0) return { causes: [], ...whole };
  const calls = (insn: number): string | undefined => /^call (.*)/.exec(reporter.text(insn))?.[1];
  const held = heldAt(path, insns, error, calls);
  if (held !== undefined) return { causes: reporter.heldChain(path, held), ...whole };
  const slice = sliceOf(path, insns, offenders(path, insns, error));
  const known = knowledge(program, quiet, slice, verifier);
  const lock = lastLock(path, error, calls);
  const before = lock === undefined ? [] : [reporter.lockCause(path[lock.at].insn, lock.taken)];
  return { causes: [...before, ...reporter.chain(slice, known)], ...whole };
}

type Observe = NonNullable<VerifyOptions["onState"]>;

/** `onState` gives tools the environment itself. */
function observer(see: (insn: number, env: VerifierEnv) => void): Observe {
  return (insn, env) => see(insn, env as VerifierEnv);
}

function sameRejection(verdict: Verdict, error: VerifierError): boolean {
  return verdict.verdict === "rejected" && verdict.error.insn === error.insn;
}

// -- places -------------------------------------------------------------------------------------------------------------

/** A register or a stack slot of a frame; `n` is the register, or the slot's offset from fp (negative). */
interface Place {
  readonly frame: number;
  readonly n: number;
}

const register = (frame: number, n: number): Place => ({ frame, n });
const keyOf = ({ frame, n }: Place): number => frame * 1024 + n + 512;
/** The slot that holds the bytes at `off`. */
const slotAt = (frame: number, off: number): Place => ({ frame, n: Math.floor(off / 8) * 8 });

/** Places followed at a step, before its instruction runs. */
type Places = ReadonlyMap<number, Place>;

/** A step with what is followed there. */
interface SlicedStep {
  readonly step: Step;
  readonly before: Places;
  /** Set where the instruction made or changed a followed value. */
  readonly made: { readonly place: Place; readonly kind: "origin" | "derived" } | undefined;
}

/** Errors about a call that no argument could cure. */
const NOT_ABOUT_ARGUMENTS: ReadonlySet<VerifierCode> = new Set<VerifierCode>([
  "verifier/unknown-helper",
  "verifier/helper-not-available",
  "verifier/helper-not-allowed",
  "verifier/helper-might-sleep",
  "verifier/needs-gpl",
  "verifier/kfunc-not-allowed",
  "verifier/kfunc-missing",
  "verifier/bad-kfunc-call",
  "verifier/kfunc-privilege",
  "verifier/kfunc-sleepable",
  "verifier/kfunc-sleeps-in-region",
  "verifier/kfunc-needs-rcu",
  "verifier/kfunc-return-type",
  "verifier/iterator-not-allowed",
  "verifier/dynptr-write-forbidden",
  "verifier/lock-in-callback",
  "verifier/graph-callback",
  "verifier/infinite-loop",
  "verifier/too-complex",
]);

/** The places an error is about. */
function offenders(path: readonly Step[], insns: InsnTable, error: VerifierError): Place[] {
  const { frame, insn } = path[path.length - 1];
  const named = namedRegisters(error);
  if (named.length > 0) return named.map((n) => register(frame, n));
  const opcode = insns.opcode[insn];
  switch (classOf(opcode)) {
    case Class.LDX:
      return [register(frame, insns.src[insn])];
    case Class.ALU:
    case Class.ALU64:
      return usesSourceRegister(opcode)
        ? [register(frame, insns.dst[insn]), register(frame, insns.src[insn])]
        : [register(frame, insns.dst[insn])];
    case Class.ST:
    case Class.STX:
      return [register(frame, insns.dst[insn])];
    case Class.JMP:
    case Class.JMP32:
      if (opcode === Opcode.EXIT) return [register(frame, 0)];
      if (isConditionalJump(opcode)) return [register(frame, insns.dst[insn])];
      return opcode === Opcode.CALL && !NOT_ABOUT_ARGUMENTS.has(error.code) ? [register(frame, 1)] : [];
    default:
      return [];
  }
}

/** `R3 …` and `arg#0 …` in the kernel's words. */
function namedRegisters({ lines, message }: VerifierError): number[] {
  for (const text of [message, ...[...lines].reverse()]) {
    const [, n] = /\bR(\d+)\b/.exec(text) ?? [];
    if (n !== undefined && Number(n) <= 10) return [Number(n)];
    const [, arg] = /\barg ?#(\d)\b|trusted arg(\d)/.exec(text)?.filter(Boolean) ?? [];
    if (arg !== undefined && Number(arg) < 5) return [Number(arg) + 1];
    const [, counted] = /\b(?:helper arg|arg )([1-5])\b/.exec(text) ?? []; // these count from 1
    if (counted !== undefined) return [Number(counted)];
  }
  return [];
}

// -- backwards ------------------------------------------------------------------------------------------------------------

/** Follows places backwards along a path; steps before every place's origin are left out. */
function sliceOf(path: readonly Step[], insns: InsnTable, start: readonly Place[]): SlicedStep[] {
  let live = new Map(start.map((place) => [keyOf(place), place]));
  const out: SlicedStep[] = [{ step: path[path.length - 1], before: live, made: undefined }];
  for (let i = path.length - 2; i >= 0 && live.size > 0; i--) {
    const step = path[i];
    const before = new Map(live);
    const made = stepBack(step, path[i + 1], insns, before);
    live = before;
    out.push({ step, before: new Map(before), made });
  }
  return out.reverse();
}

/** Turns the places after a step into those before it. */
function stepBack(step: Step, next: Step, insns: InsnTable, live: Map<number, Place>): SlicedStep["made"] {
  const { insn, frame } = step;
  const opcode = insns.opcode[insn];
  const follow = (place: Place): void => void live.set(keyOf(place), place);
  /** The place was written: it is followed no further, others may be in its stead. */
  const from = (place: Place, ...sources: Place[]): SlicedStep["made"] => {
    live.delete(keyOf(place));
    for (const source of sources) follow(source);
    return { place, kind: sources.length > 0 ? "derived" : "origin" };
  };
  const has = (place: Place): boolean => live.has(keyOf(place));
  const dst = register(frame, insns.dst[insn]);
  const src = register(frame, insns.src[insn]);
  switch (classOf(opcode)) {
    case Class.ALU:
    case Class.ALU64: {
      if (!has(dst)) return undefined;
      const moves = (opcode & CODE_MASK) === 0xb0;
      const sources = usesSourceRegister(opcode) ? [src] : [];
      return moves ? from(dst, ...sources) : from(dst, dst, ...sources);
    }
    case Class.LD:
      return isWide(opcode) ? (has(dst) ? from(dst) : undefined) : clobber(step, live, from);
    case Class.LDX:
      if (!has(dst)) return undefined;
      return step.stack === undefined ? from(dst) : from(dst, slotAt(step.stack.frame, step.stack.off));
    case Class.ST:
    case Class.STX: {
      if (step.stack === undefined) return undefined;
      const slot = slotAt(step.stack.frame, step.stack.off);
      if (!has(slot)) return undefined;
      return classOf(opcode) === Class.STX ? from(slot, src) : from(slot);
    }
    default:
      if (opcode === Opcode.EXIT) return leave(step, next, live, from);
      if (opcode === Opcode.CALL || opcode === Opcode.CALLX) {
        return next.frame > frame ? enter(step, next, live, from) : clobber(step, live, from);
      }
      return undefined;
  }
}

type From = (place: Place, ...sources: Place[]) => SlicedStep["made"];

/** A call that is not walked into: r0 is its result, r1 to r5 are gone. */
function clobber({ frame }: Step, live: Map<number, Place>, from: From): SlicedStep["made"] {
  let made: SlicedStep["made"];
  for (let n = 5; n >= 0; n--) if (live.has(keyOf(register(frame, n)))) made = from(register(frame, n));
  return made;
}

/** Into a function: its arguments are the caller's. */
function enter({ frame }: Step, next: Step, live: Map<number, Place>, from: From): SlicedStep["made"] {
  let made: SlicedStep["made"];
  for (let n = 1; n <= 5; n++) {
    const inside = register(next.frame, n);
    if (live.has(keyOf(inside))) made = from(inside, register(frame, n));
  }
  return made;
}

/** Out of a function: the caller's r0 is its r0; nothing else of it is seen from outside. */
function leave({ frame }: Step, next: Step, live: Map<number, Place>, from: From): SlicedStep["made"] {
  if (next.frame >= frame) return undefined;
  for (let n = 1; n <= 5; n++) live.delete(keyOf(register(next.frame, n)));
  const outside = register(next.frame, 0);
  return live.has(keyOf(outside)) ? from(outside, register(frame, 0)) : undefined;
}

// -- what was known -------------------------------------------------------------------------------------------------------

/** What was known of each followed place before each step of a slice, by step and place. */
type Knowledge = ReadonlyMap<number, ReadonlyMap<number, string>>;

/** Verifies once more and writes down what is known where the slice asks. */
function knowledge(
  program: VerifierProgram,
  options: VerifyOptions,
  slice: readonly SlicedStep[],
  verifier: Verifier,
): Knowledge {
  const wanted = new Map<number, Places>();
  for (const [i, { step, before }] of slice.entries()) {
    // what an instruction made is known before the next one
    const made = slice[i - 1]?.made;
    const places = made === undefined ? before : new Map([...before, [keyOf(made.place), made.place]]);
    wanted.set(step.id, places);
  }
  const known = new Map<number, ReadonlyMap<number, string>>();
  let id = 0;
  const onState = observer((_insn, env) => {
    const places = wanted.get(++id);
    if (places === undefined) return;
    known.set(id, new Map([...places].map(([key, place]) => [key, describePlace(env, place)])));
  });
  verifier.verify(program, { ...options, onState });
  return known;
}

function describePlace(env: VerifierEnv, { frame, n }: Place): string {
  if (frame > env.cur.curFrame) return "";
  if (n >= 0) return describeRegister(env, env.regIn(frame, n));
  return describeSlot(env, env.cur.frames[frame], -n / 8 - 1);
}

// -- words ----------------------------------------------------------------------------------------------------------------

const HELPER_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(HELPERS).map(([name, { id }]) => [id, `bpf_${name}`]),
);

class Reporter {
  private readonly program: VerifierProgram;
  private readonly insns: InsnTable;
  private readonly functions: ReadonlyMap<number, string>;

  constructor(program: VerifierProgram, insns: InsnTable) {
    this.program = program;
    this.insns = insns;
    this.functions = new Map(program.funcs.map(({ insn, name }) => [insn, name]));
  }

  /** The links of a slice, oldest first. */
  chain(slice: readonly SlicedStep[], known: Knowledge): Cause[] {
    const last = slice[slice.length - 1];
    const causes: Cause[] = [];
    for (let i = 0; i + 1 < slice.length; i++) {
      const cause = this.link(slice[i], slice[i + 1], last.step.frame, known);
      if (cause !== undefined) causes.push(cause);
    }
    for (const [key, place] of last.before) {
      causes.push(
        this.cause("refused", last.step, place, last.step.frame, known.get(last.step.id)?.get(key)),
      );
    }
    return shortened(causes);
  }

  text(insn: number): string {
    const { insns } = this;
    if (isHelperCall(insns, insn)) return `call ${HELPER_NAMES.get(insns.imm[insn]) ?? insns.imm[insn]}`;
    if (isLocalCall(insns, insn)) {
      const target = insn + 1 + insns.imm[insn];
      return `call ${this.functions.get(target) ?? `function at ${target}`}`;
    }
    if (insns.opcode[insn] === Opcode.CALL && insns.src[insn] === PseudoCall.KFUNC) {
      return `call ${this.program.kernelBtf?.types[insns.imm[insn]]?.name ?? insns.imm[insn]}`;
    }
    if (isWide(insns.opcode[insn]) && (insns.src[insn] === 1 || insns.src[insn] === 2)) {
      const map = this.program.maps[insns.imm[insn]]?.name ?? "?";
      const offset = insns.src[insn] === 2 ? ` + ${insns.imm[insn + 1]}` : "";
      return `r${insns.dst[insn]} = ${insns.src[insn] === 2 ? "value of map" : "map"} '${map}'${offset}`;
    }
    return disassembleAt(insns, insn);
  }

  private access(insn: number): { access?: CoreAccess } {
    const access = accessAt(this.program, insn);
    return access === undefined ? {} : { access };
  }

  source(insn: number): { source?: SourceLocation } {
    const source = sourceAt(this.program, insn);
    return source === undefined ? {} : { source };
  }

  /** What was taken, where the path left the way to giving it back, and the exit. */
  heldChain(path: readonly Step[], { acquire, branch, release }: Held): Cause[] {
    const row = (at: number, kind: CauseKind, place: string, known: string): Cause => {
      const { insn } = path[at];
      return { kind, insn, text: this.text(insn), place, known, ...this.source(insn) };
    };
    const causes = [row(acquire, "origin", "from here on", "held")];
    if (branch !== undefined && release !== undefined) {
      const line = sourceAt(this.program, release.insn)?.line;
      const where = line === undefined ? `instruction ${release.insn}` : `line ${line}`;
      causes.push(row(branch, "lost", "the other way", `leads to ${release.name}() at ${where}`));
    }
    const exits = this.insns.opcode[path[path.length - 1].insn] === Opcode.EXIT;
    causes.push(row(path.length - 1, "refused", exits ? "at the exit" : "here", "still held"));
    return causes;
  }

  /** The call that last changed which lock is held. */
  lockCause(insn: number, taken: boolean): Cause {
    const known = taken ? "this lock is held" : "no lock is held";
    return {
      kind: taken ? "origin" : "lost",
      insn,
      text: this.text(insn),
      place: "from here on",
      known,
      ...this.source(insn),
    };
  }

  private link(step: SlicedStep, next: SlicedStep, frame: number, known: Knowledge): Cause | undefined {
    const before = known.get(step.step.id);
    const after = known.get(next.step.id);
    if (step.made !== undefined) {
      const { place, kind } = step.made;
      return this.cause(kind, step.step, place, frame, after?.get(keyOf(place)));
    }
    for (const [key, place] of step.before) {
      const was = before?.get(key);
      const is = after?.get(key);
      if (is === undefined || was === undefined || was === is) continue;
      const jumps = isConditionalJump(this.insns.opcode[step.step.insn]);
      return this.cause(jumps ? "learned" : "lost", step.step, place, frame, is);
    }
    return undefined;
  }

  private cause(
    kind: CauseKind,
    { insn, frame: ownFrame }: Step,
    { frame, n }: Place,
    here: number,
    known: string | undefined,
  ): Cause {
    const name = n >= 0 ? `r${n}` : `fp${n}`;
    const whose = frame === ownFrame || frame === here ? "" : " of the caller";
    return {
      kind,
      insn,
      text: this.text(insn),
      place: `${name}${whose}`,
      known: known ?? "",
      ...this.source(insn),
      ...this.access(insn),
    };
  }
}

/** Loops repeat their links: the same one in a row is told once; of what is left, the ends matter most. */
function shortened(causes: readonly Cause[]): Cause[] {
  const told = causes.filter((cause, i) => {
    const again = causes.findIndex(
      (other, j) => j > i && other.insn === cause.insn && other.place === cause.place,
    );
    return again < 0 || i === 0;
  });
  if (told.length <= MAX_CAUSES) return told;
  return [...told.slice(0, MAX_CAUSES / 2), ...told.slice(-MAX_CAUSES / 2)];
}

function branchesOf(path: readonly Step[], insns: InsnTable, reporter: Reporter): Branch[] {
  const branches: Branch[] = [];
  for (let i = 0; i + 1 < path.length; i++) {
    const { insn } = path[i];
    if (!isConditionalJump(insns.opcode[insn])) continue;
    const taken = path[i + 1].insn === jumpTarget(insns, insn) && path[i + 1].insn !== insn + 1;
    branches.push({ insn, taken, text: reporter.text(insn), ...reporter.source(insn) });
  }
  return branches;
}
