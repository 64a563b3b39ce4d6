import { BpfError } from "../../base/index.ts";
import type { CoreRelocation } from "../../btf/index.ts";
import type { CoreResult } from "./resolve.ts";

/** Helper number no kernel has, 0xbad2310: the verifier's "invalid func unknown#195896080" tells of a bad relocation. */
export const POISON_HELPER = 195896080;

const BPF_LD = 0x00;
const BPF_LDX = 0x01;
const BPF_ST = 0x02;
const BPF_STX = 0x03;
const BPF_ALU = 0x04;
const BPF_ALU64 = 0x07;
const BPF_X = 0x08;
const LDDW = 0x18;
const CALL = 0x85;
/** Bytes to the size bits of a load or store (`BPF_B`, `BPF_H`, `BPF_W`, `BPF_DW`), and back. */
const SIZE_BITS: Readonly<Record<number, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };
const SIZE_BYTES: Readonly<Record<number, number>> = { 16: 1, 8: 2, 0: 4, 24: 8 };

/** What was done to one instruction. */
export interface CorePatch {
  /** Value the instruction held, u64 (sign-extended from imm or off). */
  readonly from: bigint;
  /** Value it holds now; undefined when it was poisoned. */
  readonly to: bigint | undefined;
  /** libbpf's words for it, one line a step. */
  readonly text: readonly string[];
}

/**
 * Writes a relocation's result into the instruction at slot `relo.insn` of `insns` (changed in place): the immediate
 * of ALU and lddw, the offset of loads and stores, and their size where the field's differs.
 * @throws BpfError `core/bad-insn` (no instruction that can be relocated), `core/unexpected-value`,
 * `core/offset-too-big`, `core/bad-size`.
 */
export function patchInsn(
  insns: Uint8Array,
  relo: CoreRelocation,
  index: number,
  result: CoreResult,
  byteOrder: "little" | "big" = "little",
): CorePatch {
  const at = relo.insn * 8;
  const little = byteOrder === "little";
  const view = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
  const where = `relo #${index}`;
  const fail = (code: `core/${string}`, message: string, hint: string, errno = "EINVAL"): BpfError =>
    new BpfError(code, `${where}: ${message}`, { insn: relo.insn, errno, hint });
  if (!(at + 8 <= insns.length) || (view.getUint8(at) === LDDW && at + 16 > insns.length)) {
    throw fail("core/bad-insn", `insn #${relo.insn} lies outside the program`, STALE);
  }
  const opcode = view.getUint8(at);
  const poison = (text: readonly string[] = []): CorePatch => {
    const slots = opcode === LDDW ? 2 : 1;
    const lines = [...text];
    for (let i = 0; i < slots; i++) {
      view.setUint8(at + 8 * i, CALL);
      view.setUint8(at + 8 * i + 1, 0);
      view.setInt16(at + 8 * i + 2, 0, little);
      view.setInt32(at + 8 * i + 4, POISON_HELPER, little);
      lines.push(`${where}: substituting insn #${relo.insn + i} w/ invalid insn`);
    }
    return { from: result.from, to: undefined, text: lines };
  };
  const check = (form: string, value: bigint, shown: bigint): void => {
    if (!result.validate || value === result.from) return;
    const message = `unexpected insn #${relo.insn} (${form}) value: got ${shown}, exp ${result.from} -> ${result.to}`;
    throw fail("core/unexpected-value", message, STALE);
  };
  const done = (form: string, field: string, from: bigint): CorePatch => ({
    from,
    to: result.to,
    text: [`${where}: patched insn #${relo.insn} (${form}) ${field} ${from} -> ${result.to}`],
  });

  switch (opcode & 0x07) {
    case BPF_ALU:
    case BPF_ALU64: {
      if ((opcode & BPF_X) !== 0) break;
      if (result.poison) return poison();
      const imm = view.getInt32(at + 4, little);
      const value = BigInt.asUintN(64, BigInt(imm));
      check("ALU/ALU64", value, BigInt(imm >>> 0));
      view.setInt32(at + 4, low32(result.to), little);
      return done("ALU/ALU64", "imm", value);
    }
    case BPF_LDX:
    case BPF_ST:
    case BPF_STX: {
      if (result.poison) return poison();
      const off = view.getInt16(at + 2, little);
      const value = BigInt.asUintN(64, BigInt(off));
      check("LDX/ST/STX", value, BigInt(off >>> 0));
      if (result.to > 0x7fffn) {
        const message = `insn #${relo.insn} (LDX/ST/STX) value too big: ${result.to}`;
        throw fail(
          "core/offset-too-big",
          message,
          "read the field through a pointer computed first",
          "ERANGE",
        );
      }
      if (result.sizeClash) {
        return poison([
          `${where}: insn #${relo.insn} (LDX/ST/STX) accesses field incorrectly. ` +
            "Make sure you are accessing pointers, unsigned integers, or fields of matching type and size.",
        ]);
      }
      view.setInt16(at + 2, Number(result.to), little);
      const patch = done("LDX/ST/STX", "off", value);
      if (result.toSize === result.fromSize) return patch;
      const bytes = SIZE_BYTES[opcode & 0x18];
      if (bytes !== result.fromSize) {
        const message = `insn #${relo.insn} (LDX/ST/STX) unexpected mem size: got ${bytes}, exp ${result.fromSize}`;
        throw fail("core/bad-size", message, STALE);
      }
      const bits = SIZE_BITS[result.toSize];
      if (bits === undefined) {
        const message = `insn #${relo.insn} (LDX/ST/STX) invalid new mem size: ${result.toSize}`;
        throw fail("core/bad-size", message, "read the field with bpf_core_read()");
      }
      view.setUint8(at, (opcode & 0xe7) | bits);
      const line = `${where}: patched insn #${relo.insn} (LDX/ST/STX) mem_sz ${result.fromSize} -> ${result.toSize}`;
      return { ...patch, text: [...patch.text, line] };
    }
    case BPF_LD: {
      const src = little ? view.getUint8(at + 1) >> 4 : view.getUint8(at + 1) & 0x0f;
      const plain = opcode === LDDW && src === 0 && view.getInt16(at + 2, little) === 0;
      if (!plain || view.getUint32(at + 8, false) !== 0) {
        throw fail("core/bad-insn", `insn #${relo.insn} (LDIMM64) has unexpected form`, STALE);
      }
      if (result.poison) return poison();
      const value = (BigInt(view.getUint32(at + 12, little)) << 32n) | BigInt(view.getUint32(at + 4, little));
      check("LDIMM64", value, value);
      view.setInt32(at + 4, low32(result.to), little);
      view.setInt32(at + 12, low32(result.to >> 32n), little);
      return done("LDIMM64", "imm64", value);
    }
  }
  const fields = `code:0x${opcode.toString(16)}, off:${view.getInt16(at + 2, little)}, imm:${view.getInt32(at + 4, little)}`;
  throw fail("core/bad-insn", `trying to relocate unrecognized insn #${relo.insn}, ${fields}`, STALE);
}

const STALE = "the instructions and the relocations do not belong together; build the object again";

function low32(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}
