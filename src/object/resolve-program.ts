import { BpfError } from "../base/index.ts";
import type { ProgramSpec, Reference } from "./spec.ts";

/** What a kernel puts in the place of a reference. */
export type Resolution =
  /** Linux, maps and map values: the map's file descriptor. A map value keeps its offset. */
  | { readonly kind: "fd"; readonly fd: number }
  /** A plain 64-bit constant: an address. The instruction loses its BPF_PSEUDO_* mark. Wide loads only. */
  | { readonly kind: "value"; readonly value: bigint }
  /**
   * A kernel function or variable by BTF id; `module` is the module's BTF descriptor for a variable, the index in
   * `fd_array` for a function; 0 for vmlinux.
   */
  | { readonly kind: "btf"; readonly id: number; readonly module?: number }
  /** Nothing there: `call imm` that every verifier refuses when it is reached, and skips when it is dead code. */
  | { readonly kind: "poison"; readonly imm: number }
  /** As it is. */
  | { readonly kind: "keep" };

/**
 * A copy of a program's instructions with its references settled. `resolve` is asked once for each reference, in the
 * order of slots; references to the program's own functions are settled already and asked for too, so that an engine
 * may put something else there.
 * @throws BpfError `object/bad-reference` for a slot outside the program or an answer that does not fit the
 * instruction, and whatever `resolve` throws.
 */
export function resolveProgram(
  program: Pick<ProgramSpec, "name" | "insns" | "references">,
  resolve: (reference: Reference) => Resolution,
  options: { readonly byteOrder?: "little" | "big" } = {},
): Uint8Array {
  const out = program.insns.slice();
  const view = new DataView(out.buffer);
  const little = options.byteOrder !== "big";
  for (const reference of program.references) {
    const at = reference.insn * 8;
    const wide = reference.kind !== "kfunc";
    const opcode = out[at];
    if (at + (wide ? 16 : 8) > out.length || opcode !== (wide ? LDDW : CALL)) {
      throw misfit(program.name, reference, "is not at an instruction that could hold it");
    }
    const mark = (pseudo: number): void => {
      const dst = little ? out[at + 1] & 15 : out[at + 1] >> 4;
      out[at + 1] = little ? (pseudo << 4) | dst : (dst << 4) | pseudo;
    };
    const answer = resolve(reference);
    switch (answer.kind) {
      case "fd":
        if (reference.kind !== "map" && reference.kind !== "map-value") {
          throw misfit(program.name, reference, "cannot be a map's descriptor");
        }
        mark(reference.kind === "map" ? PSEUDO_MAP_FD : PSEUDO_MAP_VALUE);
        view.setInt32(at + 4, answer.fd, little);
        view.setInt32(at + 12, reference.kind === "map" ? 0 : reference.offset, little);
        break;
      case "value":
        if (!wide) throw misfit(program.name, reference, "is a call and cannot take an address");
        mark(0);
        view.setUint32(at + 4, Number(BigInt.asUintN(32, answer.value)), little);
        view.setUint32(at + 12, Number(BigInt.asUintN(32, answer.value >> 32n)), little);
        break;
      case "btf":
        mark(wide ? PSEUDO_BTF_ID : PSEUDO_KFUNC_CALL);
        view.setInt32(at + 4, answer.id, little);
        if (wide) view.setInt32(at + 12, answer.module ?? 0, little);
        else view.setInt16(at + 2, answer.module ?? 0, little);
        break;
      case "poison":
        for (let slot = at; slot < at + (wide ? 16 : 8); slot += 8) {
          out[slot] = CALL;
          out[slot + 1] = 0;
          view.setInt16(slot + 2, 0, little);
          view.setInt32(slot + 4, answer.imm, little);
        }
        break;
      case "keep":
        break;
    }
  }
  return out;
}

const LDDW = 0x18;
const CALL = 0x85;
const PSEUDO_MAP_FD = 1;
const PSEUDO_MAP_VALUE = 2;
const PSEUDO_BTF_ID = 3;
const PSEUDO_KFUNC_CALL = 2;

function misfit(program: string, reference: Reference, why: string): BpfError {
  return new BpfError("object/bad-reference", `prog '${program}': reference to a ${reference.kind} ${why}`, {
    insn: reference.insn,
    subject: program,
  });
}
