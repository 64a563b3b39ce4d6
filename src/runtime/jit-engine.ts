import { type HelperName, helperById } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import { decode, isFunctionLoad, Opcode, PseudoLoad, slotsOf } from "../isa/index.ts";
import {
  ARG_STRIDE,
  CALL_FRAMES,
  compileProgram,
  FRAME_STRIDE,
  type HOST_IMPORTS,
  type JitExports,
  RUN_GLOBALS,
  StopCode,
} from "../jit/index.ts";
import type { LoadedCode } from "./code.ts";
import type { CallbackArg, DeferredCallback } from "./helper-call.ts";
import { type ActiveRun, type HelperEngine, ProgramExit } from "./helper-engine.ts";
import { loadAbsolute } from "./helpers/packet/index.ts";
import {
  DEFAULT_BUDGET,
  exceptionCallback,
  Interpreter,
  type InterpreterOptions,
  type PacketsRequest,
  type RunOutput,
  type RunRequest,
} from "./interpreter.ts";
import { jitInput } from "./jit-input.ts";
import {
  BATCH_COUNT,
  CODE_ENTRY,
  ERR_BAD_INSN,
  ERR_BUDGET,
  ERR_CALL_DEPTH,
  MACHINE_STACK,
  MAP_FIELDS,
  MAP_VALUE_SIZE,
  MAP_VALUES,
  PROV_SPECIAL,
  PTR_TO_MAP_VALUE,
  STACK_BYTES,
} from "./layout.ts";
import { PacketRuns } from "./packet-runs.ts";
import { writeValue } from "./registers.ts";
import { errorAt, violation } from "./run-error.ts";
import { TrustingHelpers } from "./trusting-helpers.ts";
import type { KernelModule } from "./wasm-module.ts";

/** How to compile. */
export interface JitEngineOptions extends InterpreterOptions {
  /**
   * Count instructions and stop at the budget (default). Without it a program that never ends never comes back, so only
   * for programs that are known to end.
   */
  readonly metered?: boolean | undefined;
}

/** A compiled program. */
interface Compiled {
  readonly exports: JitExports;
  /** Index of its entry function in the table of tail calls. */
  readonly tableIndex: number;
  /** Index for `call` by slot. */
  readonly entries: ReadonlyMap<number, number>;
  /** May runs be repeated inside wasm? */
  readonly repeatable: boolean;
  /** Entry of `bpf_throw`'s callback. */
  readonly exception: number | undefined;
}

const FIRST_TABLE_SLOTS = 16;
const STATUS = {
  [StopCode.BUDGET]: ERR_BUDGET,
  [StopCode.BAD_INSN]: ERR_BAD_INSN,
  [StopCode.CALL_DEPTH]: ERR_CALL_DEPTH,
} as const;
/**
 * Helpers without a trace in the state of a run, so that it can be repeated inside wasm: maps, time, random numbers, ring
 * buffers' output, and a packet's bytes, ends and checksums (all repeats work on the same packet).
 */
const STATELESS_HELPERS: ReadonlySet<HelperName> = new Set([
  "map_lookup_elem",
  "map_update_elem",
  "map_delete_elem",
  "map_push_elem",
  "map_pop_elem",
  "map_peek_elem",
  "map_lookup_percpu_elem",
  "ktime_get_ns",
  "ktime_get_boot_ns",
  "ktime_get_coarse_ns",
  "ktime_get_tai_ns",
  "jiffies64",
  "get_prandom_u32",
  "get_smp_processor_id",
  "trace_printk",
  "csum_diff",
  "ringbuf_output",
  "xdp_adjust_head",
  "xdp_adjust_meta",
  "xdp_adjust_tail",
  "xdp_load_bytes",
  "xdp_store_bytes",
  "skb_load_bytes",
  "skb_store_bytes",
  "skb_pull_data",
  "l3_csum_replace",
  "l4_csum_replace",
] as const);
const ALL_ARGS = 5;
/** Work (`assembly/work.ts`) that one instruction may make, and that a run may do in any case. */
const WORK_PER_INSN = 16;
const WORK_OF_RUN = 1 << 22;
/** A reading of the clock serves so many further calls of a run: asking the host takes longer than most programs. */
const CLOCK_USES = 15;
/**
 * Runs programs as WebAssembly: each is compiled when it is loaded, over the same memory, maps, hooks and helpers as the
 * interpreter's. The program is trusted: nothing it does is checked, as nothing is after Linux's verifier. A program
 * that should not have been trusted can read and write all of this kernel's linear memory, and nothing else.
 */
export class JitEngine extends Interpreter {
  private readonly metered: boolean;
  private readonly table: WebAssembly.Table;
  private readonly freeSlots: number[] = [];
  private nextSlot = 1;
  private readonly globals: Readonly<Record<string, WebAssembly.Global>>;
  private readonly compiled = new Map<LoadedCode, Compiled>();
  /** While `runPackets` runs. */
  private packets: PacketRuns | undefined;

  protected constructor(module: KernelModule, options: JitEngineOptions) {
    super(module, options);
    this.metered = options.metered ?? true;
    this.table = new WebAssembly.Table({ element: "anyfunc", initial: FIRST_TABLE_SLOTS });
    this.globals = Object.fromEntries(
      Object.entries(RUN_GLOBALS).map(([name, value]) => [
        name,
        new WebAssembly.Global({ value, mutable: true }, value === "i64" ? 0n : 0),
      ]),
    );
  }

  static override async open(options: JitEngineOptions): Promise<JitEngine> {
    let engine: JitEngine | undefined;
    const module = await Interpreter.openModule(options, () => engine as JitEngine);
    engine = new JitEngine(module, options);
    return engine;
  }

  /** Compiles the program. @throws BpfError `jit/…` for code that cannot be compiled. */
  override addCode(code: LoadedCode): void {
    super.addCode(code);
    code.special = specialGlobals(code, this.module.memory.view);
    try {
      this.compiled.set(code, this.compile(code));
    } catch (error) {
      super.removeCode(code);
      throw error;
    }
  }

  override removeCode(code: LoadedCode): void {
    const compiled = this.compiled.get(code);
    if (compiled !== undefined) {
      this.table.set(compiled.tableIndex, null);
      this.freeSlots.push(compiled.tableIndex);
      this.compiled.delete(code);
    }
    super.removeCode(code);
  }

  override batch(code: LoadedCode, around: RunRequest["around"], repeat: number): number {
    if (around?.enter !== undefined || this.compiled.get(code)?.repeatable !== true) return 1;
    return Math.min(repeat, 0x7fff_ffff);
  }

  override run(request: RunRequest): RunOutput {
    const { memory, exports } = this.module;
    const { code, budget } = request;
    const compiled = this.compiledOf(code);
    const machine = this.idle.pop() ?? exports.machineNew();
    if (machine === 0)
      throw new BpfError("runtime/out-of-memory", "no memory left for a run", { errno: "ENOMEM" });
    const state = {
      contextAddress: request.contextAddress,
      packet: request.packet,
      cpu: request.cpu,
      outcome: { clones: [] },
      tailCalls: 0,
      held: new Map<string, string>(),
      scratch: new Map<string, unknown>(),
    };
    const run: ActiveRun = { machine, state, code, references: new Map(), nextReference: 1 };
    const outer = this.active.length === 0 ? undefined : this.saveRun();
    this.active.push(run);
    if (outer === undefined) this.trusting.forget();
    this.moment.forget();
    const { work } = this.module;
    const workBefore = work.value;
    if (this.metered) work.value = workFor(budget);
    try {
      request.around?.enter?.(state);
      const fp = machine + MACHINE_STACK + STACK_BYTES;
      this.setArguments(fp, request.args ?? [request.contextAddress]);
      const left = this.guard(code, () => this.start(compiled, fp, request));
      const r0 = memory.view.getBigUint64(fp, true);
      if (!compiled.repeatable) {
        state.tailCalls = this.globals.tailCalls.value;
        this.checkExit(run, code, 0);
      }
      const retval = request.around?.leave?.(state, r0);
      return { r0, retval, insns: this.metered ? budget - left : undefined, state };
    } finally {
      work.value = workBefore;
      this.active.pop();
      this.idle.push(machine);
      if (outer !== undefined) this.restoreRun(outer);
    }
  }

  override runsPackets(code: LoadedCode): boolean {
    return this.compiled.has(code) && code.kfuncs.length === 0 && this.active.length === 0;
  }

  override runPackets(request: PacketsRequest): number | undefined {
    const { memory, exports } = this.module;
    const { code, header, cpu, budget } = request;
    const compiled = this.compiledOf(code);
    const machine = this.idle.pop() ?? exports.machineNew();
    if (machine === 0)
      throw new BpfError("runtime/out-of-memory", "no memory left for a run", { errno: "ENOMEM" });
    const packets = new PacketRuns(memory, machine, request);
    this.active.push(packets.current);
    this.packets = packets;
    this.trusting.forget();
    this.moment.forget();
    const fp = machine + MACHINE_STACK + STACK_BYTES;
    const { work } = this.module;
    if (this.metered) work.value = memory.view.getUint32(header + BATCH_COUNT, true) * workFor(budget);
    try {
      const used = this.guard(code, () => compiled.exports.packets(header, fp, cpu, budget));
      this.checkExit(packets.current, code, 0);
      return this.metered ? used : undefined;
    } finally {
      work.value = Number.POSITIVE_INFINITY;
      packets.end();
      this.packets = undefined;
      this.active.pop();
      this.idle.push(machine);
    }
  }

  override currentCode(run: ActiveRun): LoadedCode {
    return this.active[this.active.length - 1] === run && this.trusting.caller !== undefined
      ? this.trusting.caller
      : run.code;
  }

  override callback(run: ActiveRun, slot: number, args: readonly CallbackArg[]): bigint {
    const { trusting } = this;
    const { caller, frame } = trusting;
    const entry = this.compiledOf(caller).entries.get(slot);
    if (entry === undefined)
      throw new BpfError("runtime/call-target", `there is no function at instruction ${slot}`);
    const fp = frame + FRAME_STRIDE;
    if (fp > run.machine + MACHINE_STACK + STACK_BYTES + (CALL_FRAMES - 1) * FRAME_STRIDE)
      throw errorAt(
        caller,
        slot,
        "runtime/call-depth",
        "the call stack of 8 frames is too deep !",
        "callbacks count as frames: nest fewer functions",
      );
    this.setArguments(fp, args);
    this.compiledOf(caller).exports.call(entry, fp);
    trusting.caller = caller;
    trusting.frame = frame;
    return this.module.memory.view.getBigUint64(fp, true);
  }

  override deferred(run: ActiveRun, slot: number): DeferredCallback {
    const code = this.currentCode(run);
    return (cpu, args) => this.run({ code, slot, args, cpu, contextAddress: 0, budget: DEFAULT_BUDGET }).r0;
  }

  protected override momentUses(): number {
    return CLOCK_USES;
  }

  protected override createHelpers(): HelperEngine {
    return new TrustingHelpers(this);
  }

  /** The first call out of a packet's run: a state of its own, and the packet as wasm has placed it. */
  private nextPacket(packets: PacketRuns): void {
    const before = packets.current;
    if (!packets.next()) return;
    this.checkExit(before, before.code, 0);
    this.active[0] = packets.current;
    this.trusting.forget();
  }

  private get trusting(): TrustingHelpers {
    return this.helpers as TrustingHelpers; // what createHelpers made
  }

  private compiledOf(code: LoadedCode): Compiled {
    const compiled = this.compiled.get(code);
    if (compiled === undefined)
      throw new BpfError("runtime/closed", `program '${code.name}' was closed`, { subject: code.name });
    return compiled;
  }

  /** Runs the program, or the function that the request names; what is left of the budget. */
  private start(compiled: Compiled, fp: number, request: RunRequest): number {
    const { exports } = compiled;
    const { budget, slot = 0, times = 1, cpu } = request;
    try {
      if (slot === 0) return exports.run(times, fp, cpu, budget);
      const entry = compiled.entries.get(slot);
      if (entry === undefined)
        throw new BpfError("runtime/call-target", `there is no function at instruction ${slot}`);
      this.restoreRun({
        fuel: BigInt(budget),
        cpu,
        tailCalls: 0,
        frameLimit: fp + (CALL_FRAMES - 1) * FRAME_STRIDE,
      });
      exports.call(entry, fp);
      return Number(this.globals.fuel.value);
    } catch (thrown) {
      if (!(thrown instanceof ProgramExit)) throw thrown;
      if (compiled.exception === undefined) writeValue(this.module.memory.view, fp, thrown.r0);
      else {
        this.setArguments(fp, [thrown.r0]);
        exports.call(compiled.exception, fp);
      }
      return Number(this.globals.fuel.value);
    }
  }

  /** What wasm or a helper throws at a program that was wrongly trusted becomes an error of ours. */
  private guard<T>(code: LoadedCode, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const trapped = !(error instanceof BpfError) || error.code === "runtime/damaged-memory";
      if (!trapped) throw error;
      const { message } = error as Error;
      if (this.module.work.value < 0)
        throw new BpfError(
          "runtime/jit-trap",
          `prog '${code.name}' was stopped: what it calls does more than its instruction budget allows`,
          {
            subject: code.name,
            hint: "helpers that copy megabytes count as many instructions",
            cause: error,
          },
        );
      throw new BpfError("runtime/jit-trap", `prog '${code.name}' was stopped: ${message}`, {
        subject: code.name,
        hint: "the compiled program did what a verifier would have refused: run it with the interpreter to see what",
        cause: error,
      });
    }
  }

  private setArguments(fp: number, args: readonly CallbackArg[]): void {
    const { view } = this.module.memory;
    for (let n = 1; n <= ALL_ARGS; n++) {
      const arg = args[n - 1] ?? 0;
      writeValue(view, fp + n * ARG_STRIDE, typeof arg === "object" ? arg.address : arg);
    }
  }

  private saveRun(): Record<string, bigint | number> {
    return Object.fromEntries(Object.entries(this.globals).map(([name, global]) => [name, global.value]));
  }

  private restoreRun(saved: Record<string, bigint | number>): void {
    for (const [name, value] of Object.entries(saved)) this.globals[name].value = value;
  }

  // ---- compiling

  private compile(code: LoadedCode): Compiled {
    const { memory, functions } = this.module;
    const exceptionSlot = exceptionCallback(code);
    const output = compileProgram(
      jitInput(code, {
        memory,
        mapById: (id) => this.mapById(id),
        metered: this.metered,
        zeroStack: this.uninitOk || code.raw === true,
        moment: true,
      }),
    );
    const instance = new WebAssembly.Instance(new WebAssembly.Module(output.bytes), {
      run: { memory: memory.wasm, table: this.table, ...this.globals },
      host: this.hostImports(code),
      // The module's exports themselves, so that calls stay in wasm. assembly/maps/exports.ts has them all.
      maps: functions as WebAssembly.ModuleImports, // functions and the global `work`
    });
    const exports = instance.exports as unknown as JitExports; // what compileProgram says
    const tableIndex = this.freeSlots.pop() ?? this.nextSlot++;
    if (tableIndex >= this.table.length) this.table.grow(this.table.length);
    this.table.set(tableIndex, exports.main);
    memory.view.setUint32(code.address + CODE_ENTRY, tableIndex, true);
    const entries = new Map(output.entries.map((slot, i) => [slot, i]));
    return {
      exports,
      tableIndex,
      entries,
      repeatable: !output.callsOut && [...output.hostHelpers].every(isStateless),
      exception: exceptionSlot === undefined ? undefined : entries.get(exceptionSlot),
    };
  }

  private hostImports(code: LoadedCode): Record<keyof typeof HOST_IMPORTS, (...args: number[]) => unknown> {
    const { trusting } = this;
    const enter = (fp: number): ActiveRun => {
      if (this.packets !== undefined && this.active.length === 1) this.nextPacket(this.packets);
      trusting.caller = code;
      trusting.frame = fp;
      return this.active[this.active.length - 1];
    };
    return {
      helper: (id, slot, fp) => {
        trusting.call(enter(fp >>> 0), id >>> 0, slot);
        this.packets?.afterHelper(id, !this.state.timers.idle);
      },
      kfunc: (index, slot, fp) => trusting.callKfunc(enter(fp >>> 0), index, slot),
      loadPacket: (offset, size, slot, fp) => {
        const { packet } = enter(fp >>> 0).state;
        if (packet === undefined)
          throw errorAt(
            code,
            slot,
            "runtime/no-packet",
            "BPF_LD_[ABS|IND] needs a packet, and this run has none",
          );
        const value = loadAbsolute(packet, offset, size);
        if (value === undefined) return 0;
        writeValue(this.module.memory.view, fp >>> 0, value);
        return 1;
      },
      fail: (why, slot) => {
        const { machine } = this.active[this.active.length - 1];
        throw violation(this.module.memory, machine, STATUS[why as StopCode], code, slot);
      },
    };
  }
}

function workFor(budget: number): number {
  return WORK_OF_RUN + WORK_PER_INSN * budget;
}

function isStateless(id: number): boolean {
  const name = helperById(id);
  return name !== undefined && STATELESS_HELPERS.has(name);
}

/** Values of maps with fields of the kernel's that the program has the address of: globals. */
function specialGlobals(code: LoadedCode, view: DataView): NonNullable<LoadedCode["special"]> {
  const insns = decode(code.insns);
  const found: { kind: number; base: number; end: number; aux: number }[] = [];
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    if (insns.opcode[slot] !== Opcode.LDDW || isFunctionLoad(insns, slot)) continue;
    if (insns.src[slot] !== PseudoLoad.MAP_VALUE) continue;
    const map = insns.imm[slot + 1] >>> 0;
    if (view.getUint32(map + MAP_FIELDS, true) === 0 || found.some(({ aux }) => aux === map)) continue;
    const base = view.getUint32(map + MAP_VALUES, true);
    const end = base + view.getUint32(map + MAP_VALUE_SIZE, true);
    found.push({ kind: PTR_TO_MAP_VALUE | PROV_SPECIAL, base, end, aux: map });
  }
  return found;
}
