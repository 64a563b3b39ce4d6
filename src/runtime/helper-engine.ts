import {
  type ArgType,
  type ArgTypeRow,
  argTypeRow,
  type HelperName,
  helperArgs,
  helperById,
  helperRow,
  type ProgramTypeName,
} from "../abi/index.ts";
import type { BpfError } from "../base/index.ts";
import type { Btf } from "../btf/index.ts";
import type { LoadedCode } from "./code.ts";
import type {
  CallbackArg,
  DeferredCallback,
  Heap,
  HelperCall,
  HelperImpl,
  Provenance,
} from "./helper-call.ts";
import { HELPER_TABLE, type HelperState } from "./helpers/index.ts";
import type { Host } from "./host.ts";
import {
  CONST_PTR_TO_MAP,
  ERR_UNINIT_REG,
  MACHINE_DEPTH,
  MACHINE_ERR_REG,
  MAP_FIELDS,
  MAP_ID,
  NOT_INIT,
  PROV_SPECIAL,
  PTR_TO_BTF_ID,
  PTR_TO_CTX,
  PTR_TO_FUNC,
  PTR_TO_MAP_VALUE,
  PTR_TO_MEM,
  PTR_TO_PACKET,
  PTR_TO_PACKET_META,
  PTR_TO_SOCKET,
  SCALAR,
} from "./layout.ts";
import type { EmbeddedMap } from "./maps/map.ts";
import type { Memory } from "./memory.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { readRegister, registerAddress, writeProvenance, writeValue } from "./registers.ts";
import { errorAt, violation } from "./run-error.ts";
import type { RunState } from "./run-state.ts";
import type { KernelExports, KernelModule } from "./wasm-module.ts";

/** A run that is going on: its machine, its state, the program it is in. */
export interface ActiveRun {
  readonly machine: number;
  readonly state: RunState;
  readonly code: LoadedCode;
  /** References that the program holds: id → what it is. */
  readonly references: Map<number, string>;
  nextReference: number;
}

/** What the helper engine needs of the interpreter. */
export interface HelperSurroundings {
  readonly module: KernelModule;
  readonly host: Host;
  readonly state: HelperState;
  readonly heap: Heap;
  mapById(id: number): EmbeddedMap | undefined;
  /** The code block the machine is in: another program's after a tail call. */
  currentCode(run: ActiveRun): LoadedCode;
  callback(run: ActiveRun, slot: number, args: readonly CallbackArg[]): bigint;
  deferred(run: ActiveRun, slot: number): DeferredCallback;
  markReference(run: ActiveRun, id: number, held: boolean): void;
  /** Was reference `id` given out and ended? */
  isReleased(run: ActiveRun, id: number): boolean;
  syncPacket(run: ActiveRun): void;
}

/** Ends a run from inside a helper, with a return value (`bpf_throw`): no error. */
export class ProgramExit {
  readonly r0: bigint;
  constructor(r0: bigint) {
    this.r0 = r0;
  }
}

/** A helper as the engine calls it. */
export interface Prepared {
  readonly name: HelperName;
  readonly impl: HelperImpl;
  readonly args: readonly ArgTypeRow[];
  readonly argTypes: readonly ArgType[];
  readonly pktAccess: boolean;
  readonly changesPacket: boolean;
  readonly isVoid: boolean;
}

const CHECK_MODE = { read: 0, write: 1, uninit: 2 } as const;
/** Mode bit: the implementation looks after spin locks, timers and the like itself. */
const OWN_FIELDS = 4;
const DYNPTR_BYTES = 16;

/**
 * Runs helpers and kfuncs: checks the arguments against the prototype, calls the implementation, puts the result into
 * r0. One object per kernel; its getters speak of the call being made.
 */
export class HelperEngine implements HelperCall {
  readonly memory: Memory;
  readonly wasm: KernelExports;
  readonly host: Host;
  readonly heap: Heap;
  readonly state: HelperState;
  protected readonly around: HelperSurroundings;
  private readonly prepared = new Map<ProgramTypeName, (Prepared | undefined)[]>();
  protected active!: ActiveRun; // set by every call before anything reads it
  protected code!: LoadedCode;
  protected slot = 0;
  protected name = "";
  private depth = 0;
  /** Address of r0 of the calling frame. */
  protected registers = 0;
  /** Provenance that returnPointer asked for. */
  protected result: { kind: number; base: number; end: number; aux: number } | undefined;

  constructor(around: HelperSurroundings) {
    this.around = around;
    this.memory = around.module.memory;
    this.wasm = around.module.exports;
    this.host = around.host;
    this.heap = around.heap;
    this.state = around.state;
  }

  /** Calls helper `id` for the program of `run`. @throws BpfError `runtime/…` for arguments the prototype refuses. */
  call(run: ActiveRun, id: number, slot: number): void {
    const saved = this.save();
    this.enter(run, slot);
    const helper = this.helper(id);
    this.name = `bpf_${helper.name}`;
    this.checkArguments(helper);
    const value = helper.impl(this);
    if (helper.changesPacket) this.endPacketPointers(run, saved.generation);
    this.finish(value, helper.isVoid, id);
    this.restore(saved);
  }

  /** Calls a kfunc: arguments must be initialised, the rest each kfunc checks for itself. */
  callKfunc(run: ActiveRun, index: number, slot: number): void {
    const saved = this.save();
    this.enter(run, slot);
    const kfunc = this.code.kfuncs[index];
    if (kfunc === undefined) throw this.error("runtime/unknown-kfunc", `there is no kfunc number ${index}`);
    this.name = kfunc.name;
    const value = kfunc.impl(this);
    this.finish(value, false, 0);
    this.restore(saved);
  }

  // ---- HelperCall

  u32(n: number): number {
    return this.memory.view.getUint32(this.registers + n * 32, true);
  }

  s32(n: number): number {
    return this.memory.view.getInt32(this.registers + n * 32, true);
  }

  u64(n: number): bigint {
    return this.memory.view.getBigUint64(this.registers + n * 32, true);
  }

  map(n: number): EmbeddedMap {
    const address = this.u32(n);
    const kind = this.kindOf(n) & 0xff;
    if (kind !== CONST_PTR_TO_MAP || address === 0) this.refuse(n, "a map pointer");
    const map = this.around.mapById(this.memory.view.getUint32(address + MAP_ID, true));
    if (map === undefined || map.address !== address) this.refuse(n, "a map pointer");
    return map as EmbeddedMap; // refuse never returns
  }

  bytes(n: number, size: number): Uint8Array {
    const at = this.u32(n);
    return this.memory.u8.subarray(at, at + size);
  }

  get run(): RunState {
    return this.active.state;
  }

  get programType(): ProgramTypeName {
    return this.code.type;
  }

  get packet(): PacketBuffer {
    const { packet } = this.active.state;
    if (packet === undefined)
      throw this.error(
        "runtime/no-packet",
        `${this.name} works on a packet, and this run has none`,
        "run the program with packet data",
      );
    return packet;
  }

  get cpu(): number {
    return this.active.state.cpu;
  }

  returnPointer(kind: number, base: number, size: number, aux = 0): number {
    this.result = { kind: this.valueFlags(kind, aux), base, end: base + size, aux };
    return base;
  }

  acquire(what: string): number {
    const run = this.active;
    const id = run.nextReference++;
    run.references.set(id, what);
    this.around.markReference(run, id, true);
    return id;
  }

  release(n: number): void {
    const { aux } = this.provenance(n);
    if (aux === 0 || !this.active.references.has(aux)) {
      throw this.error(
        "runtime/released-reference",
        `${this.name}: R${n} carries no reference that could be released`,
        "release what a helper gave out, once",
      );
    }
    this.releaseReference(aux);
  }

  releaseReference(id: number): void {
    this.active.references.delete(id);
    this.around.markReference(this.active, id, false);
  }

  disown(id: number): void {
    this.active.references.delete(id);
  }

  exit(r0: bigint): never {
    throw new ProgramExit(r0);
  }

  get btf(): Btf | undefined {
    return this.code.btf;
  }

  provenance(n: number): Provenance {
    return readRegister(this.memory, this.active.machine, this.depth, n);
  }

  callback(n: number, args: readonly CallbackArg[]): bigint {
    const slot = this.functionSlot(n);
    const saved = this.save();
    const value = this.around.callback(
      this.active,
      slot,
      args.map((arg) => this.flagged(arg)),
    );
    this.restore(saved);
    return value;
  }

  deferred(n: number): DeferredCallback {
    return this.around.deferred(this.active, this.functionSlot(n));
  }

  checkMemory(n: number, size: number, access: "read" | "write"): void {
    this.checkRegion(n, size, OWN_FIELDS + (access === "read" ? CHECK_MODE.read : CHECK_MODE.uninit));
  }

  fail(code: `runtime/${string}`, message: string, hint?: string): never {
    throw this.error(code, message, hint);
  }

  // ---- the call

  protected enter(run: ActiveRun, slot: number): void {
    this.active = run;
    this.code = this.around.currentCode(run);
    this.slot = slot;
    this.depth = this.memory.view.getUint32(run.machine + MACHINE_DEPTH, true);
    this.registers = registerAddress(run.machine, this.depth, 0);
    this.result = undefined;
  }

  private save() {
    const { active, code, slot, name, depth, registers, result } = this;
    return {
      active,
      code,
      slot,
      name,
      depth,
      registers,
      result,
      generation: active?.state.packet?.generation ?? 0,
    };
  }

  private restore(saved: ReturnType<HelperEngine["save"]>): void {
    this.active = saved.active;
    this.code = saved.code;
    this.slot = saved.slot;
    this.name = saved.name;
    this.depth = saved.depth;
    this.registers = saved.registers;
    this.result = saved.result;
  }

  protected finish(value: number | bigint, isVoid: boolean, id: number): void {
    const { view } = this.memory;
    const { result, registers } = this;
    writeValue(view, registers, value);
    if (result !== undefined && value !== 0) {
      writeProvenance(view, registers, result.kind, result.base, result.end, result.aux);
    } else {
      // The id of the helper stays above the kind: an error can say whose NULL it is.
      const nothing = isVoid && this.code.raw !== true;
      writeProvenance(
        view,
        registers,
        nothing ? NOT_INIT : value === 0 ? SCALAR | (id << 16) : SCALAR,
        0,
        0,
        0,
      );
    }
    this.around.syncPacket(this.active);
  }

  /** The discipline of Linux: such a helper ends all packet pointers, even when it fails. */
  protected endPacketPointers(run: ActiveRun, before: number): void {
    const { packet } = run.state;
    if (packet !== undefined && packet.generation === before) packet.generation++;
  }

  protected helper(id: number): Prepared {
    const { type } = this.code;
    let table = this.prepared.get(type);
    if (table === undefined) {
      table = [];
      this.prepared.set(type, table);
    }
    const found = table[id];
    if (found !== undefined) return found;
    const poison = this.code.poison?.get(this.slot);
    if (poison !== undefined) throw this.error("runtime/unresolved", poison.message, poison.hint);
    const name = helperById(id);
    if (name === undefined) throw this.error("runtime/unknown-helper", `invalid func unknown#${id}`);
    const impl = HELPER_TABLE[name];
    if (typeof impl !== "function")
      throw this.error("runtime/no-helper", `bpf_${name} is not available here: ${impl.reason}`);
    const row = helperRow(name);
    const argTypes = helperArgs(name, type);
    const prepared: Prepared = {
      name,
      impl,
      argTypes,
      args: argTypes.map(argTypeRow),
      pktAccess: row.pktAccess === true,
      changesPacket: row.changesPacket === true,
      isVoid: row.ret === "VOID",
    };
    table[id] = prepared;
    return prepared;
  }

  protected checkArguments(helper: Prepared): void {
    const { args } = helper;
    let mapArg = 0;
    for (let i = 0; i < args.length; i++) {
      const n = i + 1;
      const row = args[i];
      const kind = this.kindOf(n);
      if (kind === NOT_INIT) this.refuseUninit(n);
      const plain = kind & 0xff;
      if (row.nullable === true && plain === SCALAR && this.isZero(n)) continue;
      if (
        !helper.pktAccess &&
        (plain === PTR_TO_PACKET || plain === PTR_TO_PACKET_META) &&
        row.access !== undefined
      )
        throw this.error(
          "runtime/helper-packet-access",
          `helper access to the packet is not allowed: ${this.name}, R${n}`,
          "copy the bytes to the stack first",
        );
      switch (row.kind) {
        case "map":
          this.map(n);
          mapArg = n;
          break;
        case "key":
          this.checkRegion(n, this.map(mapArg).spec.keySize, CHECK_MODE.read);
          break;
        case "value":
          this.checkRegion(n, this.map(mapArg).spec.valueSize, CHECK_MODE[row.access ?? "read"]);
          break;
        case "memory":
          this.checkSized(n, row, args[i + 1]);
          break;
        case "context":
          if (plain !== PTR_TO_CTX) this.refuse(n, "the context");
          break;
        case "socket":
          if (plain !== PTR_TO_SOCKET && plain !== PTR_TO_BTF_ID) this.refuse(n, "a socket");
          this.checkReference(n);
          break;
        case "object":
          if (plain !== PTR_TO_BTF_ID && plain !== PTR_TO_SOCKET && plain !== PTR_TO_MEM)
            this.refuse(n, "a kernel object");
          this.checkReference(n);
          break;
        case "function":
          if (plain !== PTR_TO_FUNC) this.refuse(n, "a function of the program");
          break;
        case "ringbuf-record":
          if (plain !== PTR_TO_MEM) this.refuse(n, "a ring buffer record");
          this.checkReference(n);
          break;
        case "dynptr":
          this.checkRegion(n, DYNPTR_BYTES, CHECK_MODE[row.access ?? "read"]);
          break;
        case "spin-lock":
        case "timer":
        case "kptr":
          if (plain !== PTR_TO_MAP_VALUE && plain !== PTR_TO_BTF_ID && plain !== PTR_TO_MEM)
            this.refuse(n, "a field of a map value");
          this.checkField(n, row.kind);
          break;
        case "const-string":
          this.checkString(n);
          break;
        default: // anything, scalar, stack: initialised is enough; sizes are checked with their memory
          break;
      }
    }
  }

  /** Memory with a fixed size, or with the size in the next argument. */
  private checkSized(n: number, row: ArgTypeRow, next: ArgTypeRow | undefined): void {
    let size = row.size;
    if (size === undefined) {
      if (next?.kind !== "size") return;
      if (this.kindOf(n + 1) === NOT_INIT) this.refuseUninit(n + 1);
      const high = this.memory.view.getUint32(this.registers + (n + 1) * 32 + 4, true);
      size = this.u32(n + 1);
      if (high !== 0 || size >= 1 << 29)
        throw this.error(
          "runtime/bad-size",
          `R${n + 1} invalid size: ${this.name} with ${BigInt.asIntN(64, this.u64(n + 1))} bytes`,
          "use an unsigned size with an upper bound: if (len > MAX) len = MAX;",
        );
      if (size === 0) {
        if (next.orZero === true) return;
        throw this.error(
          "runtime/bad-size",
          `R${n + 1} invalid zero-sized read: ${this.name}`,
          "check that the size is not 0 before the call",
        );
      }
    }
    this.checkRegion(n, size, CHECK_MODE[row.access ?? "read"]);
  }

  private checkRegion(n: number, size: number, mode: number): void {
    const { machine } = this.active;
    const status = this.around.module.exports.checkMemory(machine, n, size, mode);
    if (status !== 0) throw violation(this.memory, machine, status, this.code, this.slot, this.name);
  }

  /** A reference that is still held, or none. */
  private checkReference(n: number): void {
    const { aux } = this.provenance(n);
    if (aux !== 0 && this.around.isReleased(this.active, aux))
      throw this.error(
        "runtime/released-reference",
        `${this.name}: R${n} points to something that was already released`,
        "use the record or object before it is submitted, discarded or released, not after",
      );
  }

  private checkField(n: number, kind: "spin-lock" | "timer" | "kptr"): void {
    const { base, aux, kind: word } = this.provenance(n);
    if ((word & 0xff) !== PTR_TO_MAP_VALUE || aux === 0) return;
    const map = this.around.mapById(this.memory.view.getUint32(aux + MAP_ID, true));
    const offset = this.u32(n) - base;
    if (map?.fields.some((field) => field.kind === kind && field.offset === offset) === true) return;
    throw this.error(
      "runtime/special-field",
      `${this.name}: R${n} points to offset ${offset} of a value of map ${map?.name ?? "?"}, where there is no ${kind}`,
      "declare the map with BTF key and value types, and pass the address of the field",
    );
  }

  private checkString(n: number): void {
    const { kind, end } = this.provenance(n);
    if ((kind & 0xff) !== PTR_TO_MAP_VALUE) this.refuse(n, "a constant string");
    const at = this.u32(n);
    const zero = this.memory.u8.subarray(at, Math.max(at, end)).indexOf(0);
    if (zero < 0)
      throw this.error("runtime/bad-string", `${this.name}: the string of R${n} is not zero-terminated`);
    this.checkRegion(n, zero + 1, CHECK_MODE.read);
  }

  protected functionSlot(n: number): number {
    if ((this.kindOf(n) & 0xff) !== PTR_TO_FUNC) this.refuse(n, "a function of the program");
    return this.u32(n);
  }

  private kindOf(n: number): number {
    return this.memory.view.getUint32(this.registers + n * 32 + 8, true);
  }

  private isZero(n: number): boolean {
    const { view } = this.memory;
    const at = this.registers + n * 32;
    return view.getUint32(at, true) === 0 && view.getUint32(at + 4, true) === 0;
  }

  /** Values of maps with fields of the kernel's are marked, so that direct accesses are compared with them. */
  private valueFlags(kind: number, aux: number): number {
    if ((kind & 0xff) !== PTR_TO_MAP_VALUE || aux === 0) return kind;
    return this.memory.view.getUint32(aux + MAP_FIELDS, true) === 0 ? kind : kind | PROV_SPECIAL;
  }

  private flagged(arg: CallbackArg): CallbackArg {
    return typeof arg === "object" ? { ...arg, kind: this.valueFlags(arg.kind, arg.aux ?? 0) } : arg;
  }

  private refuseUninit(n: number): never {
    this.memory.view.setUint32(this.active.machine + MACHINE_ERR_REG, n, true);
    throw violation(this.memory, this.active.machine, ERR_UNINIT_REG, this.code, this.slot, this.name);
  }

  private refuse(n: number, expected: string): never {
    const what = (this.kindOf(n) & 0xff) === SCALAR && this.isZero(n) ? "NULL" : "something else";
    throw this.error(
      "runtime/argument-type",
      `${this.name}: R${n} is ${what}, expected ${expected}`,
      what === "NULL"
        ? "compare the pointer with NULL before the call"
        : "pass the argument that the helper's prototype asks for",
    );
  }

  protected error(code: `runtime/${string}`, message: string, hint?: string): BpfError {
    return errorAt(this.code, this.slot, code, message, hint);
  }
}
