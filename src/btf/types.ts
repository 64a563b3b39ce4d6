import type { BtfStrings } from "./strings.ts";

/**
 * BTF as plain data: `types[id]`, id 0 is `void`. Sizes in bytes, member offsets in bits, as in
 * Documentation/bpf/btf.rst. Names are decoded strings; `""` is anonymous.
 */
export interface Btf {
  readonly types: readonly BtfType[];
  /** For split BTF (a kernel module's): ids below this belong to the base, already part of `types`. */
  readonly baseCount: number;
  /**
   * The string section this was read from: what `.BTF.ext` and split BTF refer to by offset. On the value `parseBtf`
   * returned only, and not enumerable: copies and JSON are plain data without it.
   */
  readonly strings?: BtfStrings;
}

export type BtfKind = BtfType["kind"];

export type BtfType =
  | { readonly kind: "void"; readonly name: "" }
  | {
      readonly kind: "int";
      readonly name: string;
      readonly size: number;
      readonly bits: number;
      readonly bitOffset: number;
      readonly encoding: { readonly signed: boolean; readonly char: boolean; readonly bool: boolean };
    }
  | { readonly kind: "ptr"; readonly name: ""; readonly type: number }
  | {
      readonly kind: "array";
      readonly name: "";
      readonly type: number;
      readonly indexType: number;
      readonly length: number;
    }
  | {
      readonly kind: "struct" | "union";
      readonly name: string;
      readonly size: number;
      readonly kindFlag: boolean;
      readonly members: readonly BtfMember[];
    }
  | {
      readonly kind: "enum";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      /** Signed or unsigned 32-bit numbers, as `signed` says. */
      readonly values: readonly { readonly name: string; readonly value: number }[];
    }
  | {
      readonly kind: "enum64";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  | { readonly kind: "fwd"; readonly name: string; readonly union: boolean }
  | { readonly kind: "typedef"; readonly name: string; readonly type: number }
  | { readonly kind: "volatile" | "const" | "restrict"; readonly name: ""; readonly type: number }
  | { readonly kind: "func"; readonly name: string; readonly type: number; readonly linkage: BtfLinkage }
  | {
      readonly kind: "func_proto";
      readonly name: "";
      /** Return type. */
      readonly type: number;
      readonly params: readonly { readonly name: string; readonly type: number }[];
    }
  | { readonly kind: "var"; readonly name: string; readonly type: number; readonly linkage: BtfLinkage }
  | {
      readonly kind: "datasec";
      readonly name: string;
      readonly size: number;
      readonly vars: readonly { readonly type: number; readonly offset: number; readonly size: number }[];
    }
  | { readonly kind: "float"; readonly name: string; readonly size: number }
  | {
      readonly kind: "decl_tag";
      readonly name: string;
      readonly type: number;
      /** -1: the type itself; else the index of the member or parameter. */
      readonly componentIndex: number;
      readonly kindFlag: boolean;
    }
  | { readonly kind: "type_tag"; readonly name: string; readonly type: number; readonly kindFlag: boolean };

export type BtfLinkage = "static" | "global" | "extern";

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0: not a bit-field. */
  readonly bitSize: number;
}

/** `.BTF.ext` records; `insn` is the slot in the record's own section. */
export interface BtfExt {
  readonly funcInfo: readonly { readonly section: string; readonly insn: number; readonly type: number }[];
  readonly lineInfo: readonly {
    readonly section: string;
    readonly insn: number;
    readonly file: string;
    readonly text: string;
    readonly line: number;
    readonly column: number;
  }[];
  readonly coreRelocations: readonly CoreRelocation[];
}

/** One CO-RE relocation record: `struct bpf_core_relo` of include/uapi/linux/bpf.h. */
export interface CoreRelocation {
  readonly section: string;
  readonly insn: number;
  /** Root type in the object's own BTF. */
  readonly type: number;
  /** `"0:1:2"` for fields, `"0"` for types, the index of the enumerator for enum values. */
  readonly access: string;
  readonly kind: CoreRelocationKind;
}

/** In the order of `enum bpf_core_relo_kind` (0–12). */
export const CORE_RELOCATION_KINDS = [
  "field_byte_offset",
  "field_byte_size",
  "field_exists",
  "field_signed",
  "field_lshift_u64",
  "field_rshift_u64",
  "type_id_local",
  "type_id_target",
  "type_exists",
  "type_size",
  "enumval_exists",
  "enumval_value",
  "type_matches",
] as const;
export type CoreRelocationKind = (typeof CORE_RELOCATION_KINDS)[number];
