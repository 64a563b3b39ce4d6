import { BpfError, type Diagnostic } from "../../base/index.ts";
import type { Btf, BtfIndex, CoreRelocationKind } from "../../btf/index.ts";
import type { ProgramSpec } from "../spec.ts";
import { patchInsn } from "./patch.ts";
import { type CoreOptions, CoreResolver, type CoreResult } from "./resolve.ts";
import { formatSpec } from "./spec.ts";

/** What became of one relocation. */
export interface AppliedCoreRelocation {
  /** Place in the program's `coreRelocations`. */
  readonly index: number;
  /** Slot. */
  readonly insn: number;
  readonly kind: CoreRelocationKind;
  /** Value the instruction held, u64. */
  readonly from: bigint;
  /** Value it holds now; undefined when it was poisoned. */
  readonly to: bigint | undefined;
  /** The local side, such as `<byte_off> [7] struct s.a (0:1 @ offset 4)`. */
  readonly spec: string;
  /** The same in the target; undefined when nothing matched. */
  readonly target: string | undefined;
  /** libbpf's debug lines: `relo #0: patched insn #3 (LDX/ST/STX) off 4 -> 8`. */
  readonly text: readonly string[];
}

export interface CoreApplication {
  /** A copy of the program's instructions, relocated. */
  readonly insns: Uint8Array;
  readonly relos: readonly AppliedCoreRelocation[];
  /** One for every poisoned instruction: fine where it cannot be reached, else the verifier will refuse it. */
  readonly diagnostics: readonly Diagnostic[];
  /** Why libbpf would refuse the object; `relos` then stops before the one at fault. */
  readonly error: BpfError | undefined;
}

/**
 * Fits a program to a target's types. `localBtf` is the object's; without `targetBtf` the object's own types are the
 * target, so every field exists where the compiler saw it. Pass a {@link BtfIndex} to share the search between
 * programs. Pure: `program` is not changed.
 */
export function applyCoreRelocations(
  program: CoreProgram,
  localBtf: Btf,
  targetBtf?: Btf | BtfIndex,
  options: CoreOptions = {},
): CoreApplication {
  const insns = program.insns.slice();
  const relos: AppliedCoreRelocation[] = [];
  const diagnostics: Diagnostic[] = [];
  const resolver = new CoreResolver(localBtf, targetBtf, options);
  for (const [index, relo] of program.coreRelocations.entries()) {
    try {
      const result = resolver.resolve(relo, index);
      const patch = patchInsn(insns, relo, index, result, options.byteOrder);
      const missing = result.target === undefined && relo.kind !== "type_id_local";
      relos.push({
        index,
        insn: relo.insn,
        kind: relo.kind,
        from: patch.from,
        to: patch.to,
        spec: formatSpec(result.local),
        target: result.target === undefined ? undefined : formatSpec(result.target),
        text: missing ? [`relo #${index}: no matching targets found`, ...patch.text] : patch.text,
      });
      if (patch.to === undefined) diagnostics.push(poisoned(result, relo.insn));
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return { insns, relos, diagnostics, error };
    }
  }
  return { insns, relos, diagnostics, error: undefined };
}

/** The part of a program that CO-RE needs. */
export type CoreProgram = Pick<ProgramSpec, "insns" | "coreRelocations">;

function poisoned(result: CoreResult, insn: number): Diagnostic {
  const spec = formatSpec(result.local);
  return result.target === undefined
    ? {
        code: "core/no-target",
        message: `${spec}: no matching type or member in the target`,
        insn,
        hint: "guard the access with bpf_core_field_exists(), bpf_core_type_exists() or bpf_core_enum_value_exists()",
      }
    : {
        code: "core/size-clash",
        message: `${spec}: ${result.fromSize} bytes here, ${result.toSize} in the target, and not unsigned on both sides`,
        insn,
        hint: "read the field with bpf_core_read() or BPF_CORE_READ_BITFIELD()",
      };
}
