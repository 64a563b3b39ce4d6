import type { LineInfo } from "../object/index.ts";
import type { VerifierEnv } from "./env.ts";
import type { State } from "./state.ts";
import { disassembleInsn } from "./trace-insn.ts";
import { stateText } from "./trace-state.ts";

/** Columns: what changed stands behind the instruction, from column 40 on, in steps of 8. */
const COLUMN = 40;
const COLUMN_STEP = 8;

/**
 * Makes the walk print what `log_level` 1 and 2 print: instructions with their source lines, and the registers and stack
 * slots that changed behind each. Without it the hooks of `env` do nothing.
 * @see kernel/bpf/log.c, kernel/bpf/verifier.c `do_check` @ v6.18
 */
export function attachTrace(env: VerifierEnv): void {
  const trace = new Trace(env);
  env.traceInsn = (fromElsewhere) => trace.insn(fromElsewhere);
  env.traceChange = () => trace.change();
  env.traceState = (title, state, frame) => trace.state(title, state, frame);
  env.tracePrecise = (state, frame) => trace.precise(state, frame);
  env.traceSource = (insn) => trace.source(insn);
  env.traceSafe = (fromElsewhere) => trace.safe(fromElsewhere);
  env.traceBacktrack = (insn) => trace.backtrack(insn);
}

class Trace {
  private readonly env: VerifierEnv;
  /** Where the log ended behind the last instruction's line, and that line's length. */
  private lineEnd = -1;
  private lineLength = 0;
  private lastSource: LineInfo | undefined;

  constructor(env: VerifierEnv) {
    this.env = env;
  }

  /** The line of the instruction about to be walked; before it what the one before changed. */
  insn(fromElsewhere: boolean): void {
    const { env } = this;
    const { log, cur } = env;
    if (fromElsewhere && log.tracesAll) {
      const speculative = cur.speculative ? " (speculative execution)" : "";
      log.trace(`\nfrom ${env.prevInsn} to ${env.insn}${speculative}:`);
      log.trace(`${stateText(env, cur, cur.curFrame, true)}\n`);
    }
    if ((env.scratchedRegs | env.scratchedSlotsLo | env.scratchedSlotsHi) !== 0) this.change();
    this.source(env.insn);
    const line = `${env.insn}: ${disassembleInsn(env, env.insn)}\n`;
    log.trace(line);
    this.lineLength = line.length;
    this.lineEnd = log.position;
  }

  /** What changed, behind the instruction's line if that is the last. `print_insn_state` */
  change(): void {
    const { env } = this;
    const { log, cur } = env;
    if (this.lineEnd === log.position) {
      log.truncate(log.position - 1);
      const at = Math.max(this.lineLength + COLUMN_STEP / 2, COLUMN);
      log.trace(`${" ".repeat(Math.ceil(at / COLUMN_STEP) * COLUMN_STEP - this.lineLength - 1)};`);
    } else {
      log.trace(`${env.insn}:`);
    }
    log.trace(`${stateText(env, cur, cur.curFrame, false)}\n`);
    this.clean();
  }

  /** A whole frame under a title. */
  state(title: string, state: State, frame: number): void {
    this.env.log.trace(`${title}${stateText(this.env, state, frame, true)}\n`);
  }

  /** The source line of an instruction, unless it is the one printed last. `verbose_linfo` */
  source(insn: number): void {
    const { lines } = this.env.program;
    const line = lines.findLast((candidate) => candidate.insn <= insn);
    const last = this.lastSource;
    if (line === undefined || line === last) return;
    if (last !== undefined && line.file === last.file && line.line === last.line) return;
    const file = line.file.slice(line.file.lastIndexOf("/") + 1);
    this.env.log.trace(`; ${line.text.trimStart()} @ ${file}:${line.line}\n`);
    this.lastSource = line;
  }

  safe(fromElsewhere: boolean): void {
    const { env } = this;
    const speculative = env.cur.speculative ? " (speculative execution)" : "";
    const from = fromElsewhere ? `\nfrom ${env.prevInsn} to ${env.insn}${speculative}: ` : `${env.insn}: `;
    env.log.trace(`${from}safe\n`);
  }

  /** An instruction that precision backtracking goes over. */
  backtrack(insn: number): void {
    const { env } = this;
    const bt = env.backtrack;
    const regs = registerList(bt.regs[bt.frame]);
    const slots = slotList(bt.slotsLo[bt.frame], bt.slotsHi[bt.frame]);
    const text = `mark_precise: frame${bt.frame}: regs=${regs} stack=${slots} before ${insn}: `;
    env.log.trace(`${text}${disassembleInsn(env, insn)}\n`);
  }

  /** What backtracking asks of a frame of a state it came to. */
  precise(state: State, frame: number): void {
    const bt = this.env.backtrack;
    const slots = slotList(bt.slotsLo[frame], bt.slotsHi[frame]);
    const title = `mark_precise: frame${frame}: parent state regs=${registerList(bt.regs[frame])} stack=${slots}: `;
    this.state(title, state, frame);
  }

  private clean(): void {
    this.env.scratchedRegs = 0;
    this.env.scratchedSlotsLo = 0;
    this.env.scratchedSlotsHi = 0;
  }
}

/** `r0,r2` of 0b101. */
export function registerList(mask: number): string {
  const names: string[] = [];
  for (let n = 0; n < 32; n++) if ((mask & (1 << n)) !== 0) names.push(`r${n}`);
  return names.join(",");
}

/** `-8,-24` of 0b101. */
export function slotList(lo: number, hi: number): string {
  const names: number[] = [];
  for (let slot = 0; slot < 64; slot++) {
    if (((slot < 32 ? lo >>> slot : hi >>> (slot - 32)) & 1) !== 0) names.push(-8 * (slot + 1));
  }
  return names.join(",");
}
