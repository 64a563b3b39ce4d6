import type { InsnTable } from "../isa/index.ts";
import type { FuncBody } from "../wasm/index.ts";
import type { DirectHelper } from "./direct-helpers.ts";
import type { JitInput } from "./input.ts";
import type { Sums } from "./sums.ts";
import { type HostImport, type MapImport, type RunGlobal, STACK_SIZE } from "./surroundings.ts";
import type { Values } from "./values.ts";

/** A direct helper and the imported function that it is. */
export interface DirectCall {
  readonly row: DirectHelper;
  readonly func: number;
}

/** Indices that functions of the module refer to each other by. */
export interface ModuleIndex {
  readonly host: Readonly<Record<HostImport, number>>;
  readonly maps: Readonly<Record<MapImport, number>>;
  /** Direct helpers of the program, by helper: what to call, and how. */
  readonly direct: ReadonlyMap<number, DirectCall>;
  readonly globals: Readonly<Record<RunGlobal, number>>;
  /** Type index of all BPF functions. */
  readonly bpfType: number;
  /** wasm function of the BPF function at a slot. */
  readonly functions: ReadonlyMap<number, number>;
  /** Slots of functions whose address is taken. */
  readonly addressed: readonly number[];
  /** Collects what is called through the host. */
  readonly used: { readonly helpers: Set<number>; callsOut: boolean };
}

/** The function being written: registers as locals, and what is known of their values. */
export class Emitter {
  readonly f: FuncBody;
  readonly insns: InsnTable;
  readonly input: JitInput;
  readonly index: ModuleIndex;
  /** What the registers hold at the instruction being written. */
  values!: Values; // set at the start of every node
  /** Stack bytes that live in locals: offset from r10 → bytes. */
  slots: ReadonlyMap<number, 1 | 2 | 4 | 8> = new Map();
  /** Does nobody look at the upper half of the 64-bit result of this instruction? */
  lowHalfOnly: (slot: number) => boolean = () => false;
  /** Pointers of which the difference to others is known. */
  sums!: Sums; // set before the first node
  private readonly registers: number[] = [];
  private readonly scratch = new Map<string, number>();

  constructor(f: FuncBody, input: JitInput, index: ModuleIndex) {
    this.f = f;
    this.input = input;
    this.insns = input.insns;
    this.index = index;
    f.nameLocal(0, "fp");
    for (let r = 1; r <= 5; r++) {
      this.registers[r] = r;
      f.nameLocal(r, `r${r}`);
    }
  }

  /** Local of register r0–r9. */
  local(r: number): number {
    this.registers[r] ??= this.f.local("i64", `r${r}`);
    return this.registers[r];
  }

  /** A local for temporary values: one for each name. */
  temp(type: "i32" | "i64", name: string): number {
    const found = this.scratch.get(name);
    if (found !== undefined) return found;
    const made = this.f.local(type, name);
    this.scratch.set(name, made);
    return made;
  }

  /** Register onto the stack, 64 bits. */
  get(r: number): FuncBody {
    if (r === 10) return this.f.localGet(0).op("i64.extend_i32_u");
    return this.f.localGet(this.local(r));
  }

  /** Low half of a register onto the stack. */
  get32(r: number): FuncBody {
    if (r === 10) return this.f.localGet(0);
    return this.f.localGet(this.local(r)).op("i32.wrap_i64");
  }

  /** Top of the stack, 64 bits, into a register. */
  set(r: number): FuncBody {
    return this.f.localSet(this.local(r));
  }

  /** Top of the stack, 32 bits, into a register, zero-extended. */
  set32(r: number): FuncBody {
    return this.f.op("i64.extend_i32_u").localSet(this.local(r));
  }

  /**
   * Pushes the address of an access at register + `off`; gives the offset to put into the instruction. wasm's offsets
   * are unsigned and do not wrap.
   */
  address(r: number, off: number): number {
    if (r === 10 && off < 0 && off >= -STACK_SIZE) {
      this.f.localGet(this.frameBottom());
      return STACK_SIZE + off;
    }
    const near = this.sums.address(r, off);
    if (near !== undefined) {
      this.f.localGet(near.local).op("i32.wrap_i64");
      return near.offset;
    }
    this.get32(r);
    if (off >= 0) return off;
    this.f.i32Const(off).op("i32.add");
    return 0;
  }

  /** Local that holds the lowest address of the frame. */
  frameBottom(): number {
    return this.temp("i32", "frame");
  }

  /** Ends the run at `slot`. */
  fail(code: number, slot: number): void {
    this.f.i32Const(code).i32Const(slot).call(this.index.host.fail).op("unreachable");
  }
}
