import {
  FRAME_REGS_BYTES,
  MACHINE_FRAMES,
  PROV_AUX,
  PROV_BASE,
  PROV_END,
  PROV_KIND,
  REG_BYTES,
  REG_PROV,
} from "./layout.ts";
import type { Memory } from "./memory.ts";

/** A register with its provenance, copied out of a machine. */
export interface RegisterView {
  readonly value: bigint;
  /** Kind in the low byte, flags above. */
  readonly kind: number;
  readonly base: number;
  readonly end: number;
  readonly aux: number;
}

/** Address of register `n` of frame `depth`. */
export function registerAddress(machine: number, depth: number, n: number): number {
  return machine + MACHINE_FRAMES + depth * FRAME_REGS_BYTES + n * REG_BYTES;
}

/** Register `n` of frame `depth`. */
export function readRegister(memory: Memory, machine: number, depth: number, n: number): RegisterView {
  const at = registerAddress(machine, depth, n);
  const { view } = memory;
  return {
    value: view.getBigUint64(at, true),
    kind: view.getUint32(at + REG_PROV + PROV_KIND, true),
    base: view.getUint32(at + REG_PROV + PROV_BASE, true),
    end: view.getUint32(at + REG_PROV + PROV_END, true),
    aux: view.getUint32(at + REG_PROV + PROV_AUX, true),
  };
}

/** Sets a register's value: negative numbers are sign-extended, others taken as they are. */
export function writeValue(view: DataView, at: number, value: number | bigint): void {
  if (typeof value === "bigint") {
    view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return;
  }
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000) >>> 0, true);
}

/** Sets a register's provenance. */
export function writeProvenance(
  view: DataView,
  at: number,
  kind: number,
  base: number,
  end: number,
  aux: number,
): void {
  view.setUint32(at + REG_PROV + PROV_KIND, kind, true);
  view.setUint32(at + REG_PROV + PROV_BASE, base, true);
  view.setUint32(at + REG_PROV + PROV_END, end, true);
  view.setUint32(at + REG_PROV + PROV_AUX, aux, true);
}
