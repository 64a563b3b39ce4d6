import { Interpreter, type InterpreterOptions } from "../../src/runtime/interpreter.ts";
import {
  ERR_BUDGET,
  MACHINE_CONTEXT,
  MACHINE_DATA,
  MACHINE_DATA_END,
  MACHINE_DEPTH,
  MACHINE_FUEL,
  MACHINE_PC,
  MACHINE_STACK,
  PROV_AUX,
  PROV_BASE,
  PROV_KIND,
  REG_BYTES,
  REG_PROV,
  STACK_BYTES,
} from "../../src/runtime/layout.ts";
import { registerAddress } from "../../src/runtime/registers.ts";
import type { KernelModule } from "../../src/runtime/wasm-module.ts";

const REGISTERS = 11;

/** The innermost frame of a run between two instructions. Values as two 32-bit words. */
export class ConcreteFrame {
  readonly lo = new Int32Array(REGISTERS);
  readonly hi = new Int32Array(REGISTERS);
  /** Provenance: kind and flags, base address, aux. */
  readonly kind = new Int32Array(REGISTERS);
  readonly base = new Float64Array(REGISTERS);
  readonly aux = new Float64Array(REGISTERS);
  depth = 0;
  context = 0;
  data = 0;
  dataEnd = 0;
  /** Addresses of the maps, by the program's number. */
  maps: readonly number[] = [];
  private machine = 0;
  private view: DataView = new DataView(new ArrayBuffer(0));

  /** Copies the frame out of a machine. */
  take(view: DataView, machine: number): void {
    this.view = view;
    this.machine = machine;
    this.depth = view.getUint32(machine + MACHINE_DEPTH, true);
    this.context = view.getUint32(machine + MACHINE_CONTEXT, true);
    this.data = view.getUint32(machine + MACHINE_DATA, true);
    this.dataEnd = view.getUint32(machine + MACHINE_DATA_END, true);
    let at = registerAddress(machine, this.depth, 0);
    for (let n = 0; n < REGISTERS; n++, at += REG_BYTES) {
      this.lo[n] = view.getInt32(at, true);
      this.hi[n] = view.getInt32(at + 4, true);
      this.kind[n] = view.getUint32(at + REG_PROV + PROV_KIND, true);
      this.base[n] = view.getUint32(at + REG_PROV + PROV_BASE, true);
      this.aux[n] = view.getUint32(at + REG_PROV + PROV_AUX, true);
    }
  }

  /** Value of r10 in frame `depth`. */
  stackTop(depth: number): number {
    return this.machine + MACHINE_STACK + (depth + 1) * STACK_BYTES;
  }

  /** Four bytes at `byte` of the slot at fp-8*(slot+1). */
  stackWord(slot: number, byte: number): number {
    return this.view.getInt32(this.stackTop(this.depth) - 8 * (slot + 1) + byte, true);
  }
}

/** The checked interpreter, one instruction at a time. */
export class Stepper extends Interpreter {
  /** Called before each instruction. */
  onInsn: (insn: number, frame: ConcreteFrame) => void = () => {};
  readonly frame = new ConcreteFrame();
  private real: KernelModule["exports"]["execute"] | undefined;

  static override async open(options: InterpreterOptions): Promise<Stepper> {
    let stepper: Stepper | undefined;
    const module = await Interpreter.openModule(options, () => stepper as Stepper);
    const { exports } = module;
    const execute = (machine: number, slot: number, exitDepth: number): number =>
      (stepper as Stepper).stepThrough(machine, slot, exitDepth);
    stepper = new Stepper({ ...module, exports: { ...exports, execute } }, options);
    stepper.real = exports.execute;
    return stepper;
  }

  private stepThrough(machine: number, start: number, exitDepth: number): number {
    const { memory } = this.module;
    const real = this.real as KernelModule["exports"]["execute"];
    let left = Number(memory.view.getBigInt64(machine + MACHINE_FUEL, true));
    for (let slot = start; ; ) {
      this.frame.take(memory.view, machine);
      this.onInsn(slot, this.frame);
      if (left-- <= 0) return ERR_BUDGET;
      memory.view.setBigInt64(machine + MACHINE_FUEL, 1n, true);
      const status = real(machine, slot, exitDepth);
      if (status !== ERR_BUDGET) {
        memory.view.setBigInt64(machine + MACHINE_FUEL, BigInt(left), true);
        return status;
      }
      slot = memory.view.getUint32(machine + MACHINE_PC, true);
    }
  }
}
