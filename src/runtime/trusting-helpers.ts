import { FUNC_TAG } from "../jit/index.ts";
import type { LoadedCode } from "./code.ts";
import type { CallbackArg, Provenance } from "./helper-call.ts";
import { type ActiveRun, HelperEngine, type Prepared } from "./helper-engine.ts";
import { MAP_ID, NULL_PAGE, PTR_TO_MAP_VALUE, SCALAR } from "./layout.ts";
import type { EmbeddedMap } from "./maps/map.ts";
import { writeValue } from "./registers.ts";

const NUMBER: Provenance = { kind: SCALAR, base: 0, end: 0, aux: 0 };
/** Bytes above which a helper's work counts, as in `assembly/work.ts`. */
const MUCH = 4096;
const FUNC_TAG_HIGH = Number(FUNC_TAG >> 32n);

/**
 * Runs helpers and kfuncs for compiled programs, which carry no provenance: arguments are believed, as after the
 * verifier, but for memory having to be inside the linear memory. Objects that were handed out are remembered by their
 * address, so that what a helper asks about an argument can be answered. Arguments stand at the frame pointer.
 */
export class TrustingHelpers extends HelperEngine {
  /** The frame that calls: set by the engine before each call. */
  frame = 0;
  caller!: LoadedCode; // set together with `frame`
  /** What helpers and callbacks were given in this run, by its first address. */
  private readonly given = new Map<number, Provenance>();

  /** References by the address that they were handed out with: the same object can be held several times. */
  private readonly held = new Map<number, number[]>();

  /** A new run: nothing was handed out. */
  forget(): void {
    if (this.given.size > 0) this.given.clear();
    if (this.held.size > 0) this.held.clear();
  }

  /** Nothing has to be put back afterwards: a callback does that for the helper it is called by. */
  override call(run: ActiveRun, id: number, slot: number): void {
    this.enter(run, slot);
    const helper = this.helper(id);
    this.name = helper.name;
    this.checkArguments(helper);
    const before = helper.changesPacket ? (run.state.packet?.generation ?? 0) : 0;
    const value = helper.impl(this);
    if (helper.changesPacket) this.endPacketPointers(run, before);
    this.finish(value);
  }

  override map(n: number): EmbeddedMap {
    const address = this.u32(n);
    const header = address >= NULL_PAGE && address < this.memory.u8.length - 64;
    const map = header ? this.around.mapById(this.memory.view.getUint32(address + MAP_ID, true)) : undefined;
    if (map !== undefined && map.address === address) return map;
    throw this.error("runtime/argument-type", `bpf_${this.name}: R${n} is no map pointer`);
  }

  override provenance(n: number): Provenance {
    const high = this.memory.view.getUint32(this.registers + n * 32 + 4, true);
    const address = this.u32(n);
    const end = this.memory.u8.length;
    if (high !== 0 || address < NULL_PAGE || address >= end) return NUMBER;
    const exact = this.given.get(address);
    if (exact !== undefined) return exact;
    for (const range of this.given.values()) if (address >= range.base && address < range.end) return range;
    for (const range of this.caller.special ?? [])
      if (address >= range.base && address < range.end) return range;
    return { kind: PTR_TO_MAP_VALUE, base: address, end, aux: 0 };
  }

  override release(n: number): void {
    const ids = this.held.get(this.u32(n));
    const id = ids?.pop();
    if (id === undefined) super.release(n);
    else this.releaseReference(id);
  }

  override callback(n: number, args: readonly CallbackArg[]): bigint {
    for (const arg of args) {
      if (typeof arg !== "object") continue;
      const { address, kind, base, size, aux = 0 } = arg;
      if (size > 0) this.given.set(address, { kind, base, end: base + size, aux });
    }
    return super.callback(n, args);
  }

  override checkMemory(n: number, size: number, _access: "read" | "write"): void {
    this.inside(n, size);
  }

  protected override enter(run: ActiveRun, slot: number): void {
    this.active = run;
    this.code = this.caller;
    this.slot = slot;
    this.registers = this.frame;
    this.result = undefined;
  }

  protected override checkArguments(helper: Prepared): void {
    const { args } = helper;
    for (let i = 0; i < args.length; i++) {
      const row = args[i];
      const size = row.size ?? (args[i + 1]?.kind === "size" ? this.u32(i + 2) : 0);
      if (row.kind === "memory") {
        if (size !== 0 && !(row.nullable === true && this.u32(i + 1) === 0)) this.inside(i + 1, size);
      } else if (row.kind === "key" || row.kind === "value") {
        if (!(row.nullable === true && this.u32(i + 1) === 0)) this.inside(i + 1, 1);
      }
    }
  }

  protected override functionSlot(n: number): number {
    if (this.memory.view.getUint32(this.registers + n * 32 + 4, true) !== FUNC_TAG_HIGH)
      throw this.error("runtime/argument-type", `bpf_${this.name}: R${n} is no function of the program`);
    return this.u32(n);
  }

  protected override finish(value: number | bigint): void {
    const { result } = this;
    writeValue(this.memory.view, this.registers, value);
    if (result === undefined || value === 0) return;
    this.given.set(result.base, result);
    if (!this.active.references.has(result.aux)) return;
    const ids = this.held.get(result.base);
    if (ids === undefined) this.held.set(result.base, [result.aux]);
    else ids.push(result.aux);
  }

  private charge(pieces: number): void {
    const { work } = this.around.module;
    work.value -= pieces;
    if (work.value < 0)
      throw this.error("runtime/budget", `bpf_${this.name}: more bytes than the instruction budget allows`);
  }

  /** Helpers read and write their arguments' memory without looking: it has to be there. */
  private inside(n: number, size: number): void {
    const address = this.u32(n);
    if (size > MUCH) this.charge(size / 64);
    if (address >= NULL_PAGE && size < 1 << 29 && address + size <= this.memory.u8.length) return;
    throw this.error(
      "runtime/out-of-bounds",
      `bpf_${this.name}: R${n} with ${size} bytes is outside of memory`,
      "the program was not verified: run it with the interpreter to see what is wrong",
    );
  }
}
