import { helperById, helperRow } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import { decode, Opcode, slotsOf } from "../isa/index.ts";
import type { RunOutcome } from "../object/index.ts";
import type { LoadedCode } from "./code.ts";
import type { CallbackArg, DeferredCallback, Heap } from "./helper-call.ts";
import { type ActiveRun, HelperEngine, type HelperSurroundings, ProgramExit } from "./helper-engine.ts";
import { HelperState } from "./helpers/index.ts";
import { loadAbsolute } from "./helpers/packet/index.ts";
import type { BatchHookRun } from "./hooks/index.ts";
import type { Host } from "./host.ts";
import {
  MACHINE_CODE,
  MACHINE_CONTEXT,
  MACHINE_CPU,
  MACHINE_DATA,
  MACHINE_DATA_END,
  MACHINE_DATA_META,
  MACHINE_DEPTH,
  MACHINE_FUEL,
  MACHINE_GENERATION,
  MACHINE_PC,
  MACHINE_RAW,
  MACHINE_REF_COUNT,
  MACHINE_REFS,
  MACHINE_TAIL_CALLS,
  MACHINE_UNINIT_OK,
  NOT_INIT,
  REG_PROV,
  SCALAR,
  STATUS_EXIT,
} from "./layout.ts";
import { mapField } from "./map-fields.ts";
import type { EmbeddedMap } from "./maps/map.ts";
import { Moment } from "./moment.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { registerAddress, writeProvenance, writeValue } from "./registers.ts";
import { errorAt, violation } from "./run-error.ts";
import type { RunState } from "./run-state.ts";
import { type KernelModule, openKernelModule } from "./wasm-module.ts";

/** Instructions a run may execute unless told otherwise. */
export const DEFAULT_BUDGET = 1_000_000_000;
/** References a run may take: the size of the table that tells held from released. */
const MAX_REFERENCES = 65536;

export interface InterpreterOptions {
  readonly host: Host;
  /** Reads of stack bytes that were never written: an error (default), or zero as in Linux ≥ 6.4 with privileges. */
  readonly uninitStack?: "error" | "zero";
  /** Bytes the linear memory may grow to. */
  readonly memoryLimit?: number | undefined;
  /** A memory that several threads work on: `"new"`, or that of the thread that began. */
  readonly shared?: "new" | WebAssembly.Memory | undefined;
  readonly mapById: (id: number) => EmbeddedMap | undefined;
}

/** What to run. */
export interface RunRequest {
  readonly code: LoadedCode;
  readonly contextAddress: number;
  readonly packet?: PacketBuffer | undefined;
  readonly cpu: number;
  /** Instructions left. */
  readonly budget: number;
  /** Runs to make in a row, as `batch` allows; default 1. */
  readonly times?: number;
  /** Where in the code to start; default: its first instruction. */
  readonly slot?: number;
  /** Sets registers before the first instruction: arguments of a callback, `skep exec` memory. */
  readonly args?: readonly CallbackArg[];
  /** Called with the run's state before and after the program. */
  readonly around?: { enter?(run: RunState): void; leave?(run: RunState, r0: bigint): number | undefined };
}

/** Which packets to run. */
export interface PacketsRequest {
  readonly code: LoadedCode;
  /** Address of the batch (`layout.ts`). */
  readonly header: number;
  readonly hook: BatchHookRun;
  readonly cpu: number;
  /** Instructions for each packet. */
  readonly budget: number;
  /** Takes what the run of packet `index` asked for beside its verdict. */
  readonly outcome: (index: number, outcome: RunOutcome) => void;
}

export interface RunOutput {
  readonly r0: bigint;
  /** What `around.leave` made of r0. */
  readonly retval: number | undefined;
  /** undefined: the engine does not count. */
  readonly insns: number | undefined;
  readonly state: RunState;
}

/**
 * The checked interpreter: one linear memory, the wasm that works on it, and the helpers. Programs and maps are put
 * into it by the kernel (`embedded-kernel.ts`).
 */
export class Interpreter implements HelperSurroundings {
  readonly module: KernelModule;
  readonly host: Host;
  readonly state: HelperState;
  readonly heap: Heap;
  readonly mapById: (id: number) => EmbeddedMap | undefined;
  protected readonly uninitOk: boolean;
  protected readonly helpers: HelperEngine;
  protected readonly moment: Moment;
  protected readonly codes = new Map<number, LoadedCode>();
  /** Runs that are going on, innermost last: a run can start another one. */
  protected readonly active: ActiveRun[] = [];
  protected readonly idle: number[] = [];
  private status = 0;

  protected constructor(module: KernelModule, options: InterpreterOptions) {
    this.module = module;
    this.host = options.host;
    this.mapById = options.mapById;
    this.uninitOk = options.uninitStack === "zero";
    this.heap = {
      alloc: (size) => module.exports.alloc(size),
      free: (address) => module.exports.free(address),
    };
    this.state = new HelperState(this.heap);
    this.helpers = this.createHelpers();
    this.moment = new Moment(module, options.host, this.momentUses());
  }

  static async open(options: InterpreterOptions): Promise<Interpreter> {
    let interpreter: Interpreter | undefined;
    const module = await Interpreter.openModule(options, () => interpreter as Interpreter);
    interpreter = new Interpreter(module, options);
    return interpreter;
  }

  /** The wasm, calling back into `engine`: no program runs before there is one. */
  protected static openModule(options: InterpreterOptions, engine: () => Interpreter): Promise<KernelModule> {
    return openKernelModule(
      {
        callHelper: (machine, id, slot) => engine().helpers.call(engine().runOf(machine), id, slot),
        callKfunc: (machine, index, slot) => engine().helpers.callKfunc(engine().runOf(machine), index, slot),
        loadPacket: (machine, offset, size) => engine().loadPacket(engine().runOf(machine), offset, size),
        loadMapField: (machine, register, map, offset, size) =>
          engine().loadMapField(engine().runOf(machine), register, map, offset, size),
        loadKptr: (machine, register, address) =>
          engine().loadKptr(engine().runOf(machine), register, address),
        refill: (what) => engine().moment.refill(what),
      },
      options.memoryLimit,
      options.shared,
    );
  }

  /** How often a reading of the clock is used again. */
  protected momentUses(): number {
    return 0;
  }

  protected createHelpers(): HelperEngine {
    return new HelperEngine(this);
  }

  /** How many of `repeat` runs one call of `run` may do (`RunRequest.times`). */
  batch(_code: LoadedCode, _around: RunRequest["around"], _repeat: number): number {
    return 1;
  }

  /** Can `runPackets` run the program? Otherwise its packets are run one by one. */
  runsPackets(_code: LoadedCode): boolean {
    return false;
  }

  /** May a run move the ends of its packet, so that it sees what is around it? */
  movesPackets(code: LoadedCode): boolean {
    return code.kfuncs.length > 0 || [...helperCalls(code.insns)].some(movesPacket);
  }

  /** Runs packets of a batch until there is something to do for the host: instructions, where they are counted. */
  runPackets(_request: PacketsRequest): number | undefined {
    throw new BpfError("runtime/internal", "this engine runs packets one by one");
  }

  addCode(code: LoadedCode): void {
    this.codes.set(code.address, code);
  }

  removeCode(code: LoadedCode): void {
    this.codes.delete(code.address);
    code.free();
  }

  /** Runs a program to its end. @throws BpfError `runtime/…` when it breaks a rule. */
  run(request: RunRequest): RunOutput {
    const { memory, exports } = this.module;
    const machine = this.idle.pop() ?? exports.machineNew();
    if (machine === 0)
      throw new BpfError("runtime/out-of-memory", "no memory left for a run", { errno: "ENOMEM" });
    const state: RunState = {
      contextAddress: request.contextAddress,
      packet: request.packet,
      cpu: request.cpu,
      outcome: { clones: [] },
      tailCalls: 0,
      held: new Map(),
      scratch: new Map(),
    };
    const run: ActiveRun = { machine, state, code: request.code, references: new Map(), nextReference: 1 };
    this.active.push(run);
    this.moment.forget();
    try {
      request.around?.enter?.(state);
      this.prepare(run, request);
      const thrown = this.execute(run, request.slot ?? 0);
      const status = thrown === undefined ? this.status : STATUS_EXIT;
      const code = this.currentCode(run);
      const { view } = memory;
      const insn = view.getUint32(machine + MACHINE_PC, true);
      if (status !== STATUS_EXIT) throw violation(memory, machine, status, code, insn);
      state.tailCalls = view.getUint32(machine + MACHINE_TAIL_CALLS, true);
      const r0 = thrown ?? view.getBigUint64(registerAddress(machine, 0, 0), true);
      this.checkExit(run, code, insn);
      const insns = request.budget - Number(view.getBigInt64(machine + MACHINE_FUEL, true));
      const retval = request.around?.leave?.(state, r0);
      return { r0, retval, insns, state };
    } finally {
      this.active.pop();
      this.idle.push(machine);
    }
  }

  /** Runs the machine; the return value when a helper ended the program, else undefined and `status`. */
  private execute(run: ActiveRun, slot: number): bigint | undefined {
    const { machine, code } = run;
    const cookie = this.executeTillThrow(machine, slot);
    const callback = cookie === undefined ? undefined : exceptionCallback(code);
    if (cookie === undefined || callback === undefined) return cookie;
    // As Linux does: the callback takes the entry function's place, on its stack.
    const { view } = this.module.memory;
    view.setUint32(machine + MACHINE_DEPTH, 0, true);
    view.setUint32(machine + MACHINE_CODE, code.address, true);
    this.setArgs(machine, 0, [cookie]);
    return this.executeTillThrow(machine, callback);
  }

  /** The cookie of `bpf_throw`, else undefined and `status`. */
  private executeTillThrow(machine: number, slot: number): bigint | undefined {
    try {
      this.status = this.module.exports.execute(machine, slot, 0);
      return undefined;
    } catch (thrown) {
      if (thrown instanceof ProgramExit) return thrown.r0;
      throw thrown;
    }
  }

  /** Frees the machines. */
  close(): void {
    for (const machine of this.idle.splice(0)) {
      const refs = this.module.memory.view.getUint32(machine + MACHINE_REFS, true);
      if (refs !== 0) this.module.exports.free(refs);
      this.module.exports.machineFree(machine);
    }
    for (const code of [...this.codes.values()]) this.removeCode(code);
  }

  // ---- what helpers need

  currentCode(run: ActiveRun): LoadedCode {
    const address = this.module.memory.view.getUint32(run.machine + MACHINE_CODE, true);
    return this.codes.get(address) ?? run.code;
  }

  callback(run: ActiveRun, slot: number, args: readonly CallbackArg[]): bigint {
    const { machine } = run;
    const { memory, exports } = this.module;
    const code = this.currentCode(run);
    const calledAt = memory.view.getUint32(machine + MACHINE_PC, true);
    const depth = exports.pushFrame(machine);
    if (depth === 0)
      throw errorAt(
        code,
        calledAt,
        "runtime/call-depth",
        "the call stack of 8 frames is too deep !",
        "callbacks count as frames: nest fewer functions",
      );
    this.setArgs(machine, depth, args);
    const status = exports.execute(machine, slot, depth);
    if (status !== STATUS_EXIT)
      throw violation(
        memory,
        machine,
        status,
        this.currentCode(run),
        memory.view.getUint32(machine + MACHINE_PC, true),
      );
    const { view } = memory;
    const r0 = view.getBigUint64(registerAddress(machine, depth, 0), true);
    exports.popFrame(machine);
    view.setUint32(machine + MACHINE_CODE, code.address, true);
    view.setUint32(machine + MACHINE_PC, calledAt, true);
    return r0;
  }

  deferred(run: ActiveRun, slot: number): DeferredCallback {
    const code = this.currentCode(run);
    return (cpu, args) => this.run({ code, slot, args, cpu, contextAddress: 0, budget: DEFAULT_BUDGET }).r0;
  }

  markReference(run: ActiveRun, id: number, held: boolean): void {
    const { memory, exports } = this.module;
    let table = memory.view.getUint32(run.machine + MACHINE_REFS, true);
    if (table === 0) {
      table = exports.alloc(MAX_REFERENCES);
      if (table === 0)
        throw new BpfError("runtime/out-of-memory", "no memory left for references", { errno: "ENOMEM" });
      memory.view.setUint32(run.machine + MACHINE_REFS, table, true);
    }
    // Ids are given once in a run, in order; those past the table's end are not told apart.
    if (id >= MAX_REFERENCES) return;
    memory.u8[table + id] = held ? 1 : 0;
    memory.view.setUint32(run.machine + MACHINE_REF_COUNT, Math.min(run.nextReference, MAX_REFERENCES), true);
  }

  isReleased(run: ActiveRun, id: number): boolean {
    if (id >= run.nextReference || id >= MAX_REFERENCES) return false;
    const { memory } = this.module;
    return memory.u8[memory.view.getUint32(run.machine + MACHINE_REFS, true) + id] === 0;
  }

  syncPacket(run: ActiveRun): void {
    const { packet } = run.state;
    if (packet === undefined) return;
    const { view } = this.module.memory;
    const { machine } = run;
    if (view.getUint32(machine + MACHINE_GENERATION, true) === packet.generation) return;
    view.setUint32(machine + MACHINE_DATA_META, packet.dataMeta, true);
    view.setUint32(machine + MACHINE_DATA, packet.data, true);
    view.setUint32(machine + MACHINE_DATA_END, packet.dataEnd, true);
    view.setUint32(machine + MACHINE_GENERATION, packet.generation, true);
  }

  // ---- a run

  private runOf(machine: number): ActiveRun {
    const run = this.active[this.active.length - 1];
    if (run === undefined || run.machine !== machine)
      throw new BpfError("runtime/internal", "a call from a machine that does not run");
    return run;
  }

  private prepare(run: ActiveRun, request: RunRequest): void {
    const { memory, exports } = this.module;
    const { machine, code, state } = run;
    const { view } = memory;
    view.setUint32(machine + MACHINE_CODE, code.address, true);
    view.setBigInt64(machine + MACHINE_FUEL, BigInt(request.budget), true);
    view.setUint32(machine + MACHINE_CONTEXT, request.contextAddress, true);
    view.setUint32(machine + MACHINE_UNINIT_OK, this.uninitOk || code.raw === true ? 1 : 0, true);
    view.setUint32(machine + MACHINE_CPU, state.cpu, true);
    view.setUint32(machine + MACHINE_RAW, code.raw === true ? 1 : 0, true);
    view.setUint32(machine + MACHINE_GENERATION, 0, true);
    view.setUint32(machine + MACHINE_REF_COUNT, 0, true);
    this.syncPacket(run);
    exports.machineReset(machine);
    if (request.args !== undefined) {
      view.setUint32(registerAddress(machine, 0, 1) + REG_PROV, code.raw === true ? SCALAR : NOT_INIT, true);
      this.setArgs(machine, 0, request.args);
    }
  }

  private setArgs(machine: number, depth: number, args: readonly CallbackArg[]): void {
    const { view } = this.module.memory;
    args.forEach((arg, i) => {
      const at = registerAddress(machine, depth, i + 1);
      if (typeof arg === "object") {
        writeValue(view, at, arg.address);
        writeProvenance(view, at, arg.kind, arg.base, arg.base + arg.size, arg.aux ?? 0);
      } else {
        writeValue(view, at, arg);
        writeProvenance(view, at, SCALAR, 0, 0, 0);
      }
    });
  }

  /** What must not be open when a program ends. */
  protected checkExit(run: ActiveRun, code: LoadedCode, insn: number): void {
    for (const [id, what] of run.references) {
      throw errorAt(
        code,
        insn,
        "runtime/unreleased-reference",
        `Unreleased reference id=${id}: ${what} is still held at exit`,
        "release it on every path: bpf_ringbuf_submit or _discard, bpf_sk_release, …",
      );
    }
    for (const [, message] of run.state.held) {
      throw errorAt(code, insn, "runtime/lock", message, "unlock before every return");
    }
  }

  /** LD_ABS and LD_IND: bytes of the packet, big endian, into r0. */
  private loadPacket(run: ActiveRun, offset: number, size: number): number {
    const { packet } = run.state;
    if (packet === undefined) {
      const { view } = this.module.memory;
      throw errorAt(
        this.currentCode(run),
        view.getUint32(run.machine + MACHINE_PC, true),
        "runtime/no-packet",
        "BPF_LD_[ABS|IND] needs a packet, and this run has none",
      );
    }
    const { memory } = this.module;
    const value = loadAbsolute(packet, offset, size);
    if (value === undefined) return 0;
    const depth = memory.view.getUint32(run.machine + MACHINE_DEPTH, true);
    writeValue(memory.view, registerAddress(run.machine, depth, 0), value);
    return 1;
  }

  /** A field of `struct bpf_map`, through a map pointer. */
  private loadMapField(run: ActiveRun, register: number, map: number, offset: number, size: number): number {
    const field = mapField(this.currentCode(run).kernelBtf, offset);
    if (field === undefined) return 0;
    const { view } = this.module.memory;
    const value = field === "zero" ? 0 : view.getUint32(map + field, true);
    writeValue(view, run.machine + register, size < 4 ? value & (2 ** (8 * size) - 1) : value);
    return 1;
  }

  /** A pointer field of a map value was loaded: what the helpers stored there says what it points to. */
  private loadKptr(run: ActiveRun, register: number, address: number): void {
    const { view } = this.module.memory;
    const stored = this.state.pointers.get(address);
    if (stored === undefined || Number(view.getBigUint64(address, true)) !== stored.address) return;
    writeProvenance(view, run.machine + register, stored.kind, stored.base, stored.end, 0);
  }
}

/** Ids of the helpers that the instructions call by number; undefined for one that a register names. */
export function* helperCalls(insns: Uint8Array): Generator<number | undefined> {
  const table = decode(insns);
  for (let slot = 0; slot < table.length; slot += slotsOf(table, slot)) {
    if (table.opcode[slot] === Opcode.CALLX) yield undefined;
    if (table.opcode[slot] === Opcode.CALL && table.src[slot] === 0) yield table.imm[slot];
  }
}

function movesPacket(id: number | undefined): boolean {
  const name = id === undefined ? undefined : helperById(id);
  return name === undefined || helperRow(name).changesPacket === true;
}

/** Slot of the function that the entry's `exception_callback:` tag names; undefined when it has none. */
export function exceptionCallback({ btf, funcs }: LoadedCode): number | undefined {
  const prefix = "exception_callback:";
  const tag = btf?.types.find(
    (type) => type.kind === "decl_tag" && type.type === funcs[0]?.btfId && type.name.startsWith(prefix),
  );
  return funcs.find(({ name }) => name === tag?.name.slice(prefix.length))?.insn;
}
