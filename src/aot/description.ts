import type { Btf } from "../btf/index.ts";

/**
 * What is in a standalone module: JSON in its custom section `skep`, and in the wrapper. Numbers of 64 bits inside
 * `types` are strings of decimal digits with an `n`.
 */
export interface Description {
  /** Of this form. */
  readonly version: 1;
  readonly name: string;
  readonly license: string;
  readonly programs: readonly ProgramDescription[];
  readonly maps: readonly MapDescription[];
  /** Functions that the host has to give, of module `env`. */
  readonly imports: readonly { readonly name: string; readonly args: number }[];
  /** Programs stop when the exported global `fuel` is used up. */
  readonly metered: boolean;
  /** Types of keys and values: a BTF of its own. */
  readonly types: Btf["types"];
}

/** A program and the functions that run it. */
export interface ProgramDescription {
  readonly name: string;
  readonly section: string;
  /** BPF_PROG_TYPE_*. */
  readonly type: string;
  /** `run_NAME(packet, length) → verdict`; absent where the context is no packet's. */
  readonly run?: string;
  /** `raw_NAME(context) → r0`. */
  readonly raw: string;
}

/** A map; `global` is exported and holds its address. */
export interface MapDescription {
  readonly name: string;
  /** BPF_MAP_TYPE_*. */
  readonly type: string;
  readonly global: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Programs rely on what is in it: the host must not write. */
  readonly frozen: boolean;
  /** Ids in `types`; 0: bytes. */
  readonly keyType: number;
  readonly valueType: number;
}

/** Name of the custom section. */
export const SECTION = "skep";

/** JSON text of a description. */
export function writeDescription(description: Description, space?: number): string {
  const plain = (_key: string, value: unknown) => (typeof value === "bigint" ? `${value}n` : value);
  return JSON.stringify(description, plain, space);
}

/** The description in a JSON text of `writeDescription`. */
export function readDescription(text: string): Description {
  return JSON.parse(text, (key, value) =>
    key === "value" && typeof value === "string" ? BigInt(value.slice(0, -1)) : value,
  );
}
