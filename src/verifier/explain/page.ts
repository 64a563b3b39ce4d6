import type { AttachTypeName, MapTypeName, ProgramTypeName } from "../../abi/index.ts";
import type { CapabilitySet } from "../capabilities.ts";
import type { VerifierProgramFlags } from "../input.ts";

/** What the page of an error code says besides its row in help.ts. */
export interface ErrorDetails {
  /** The headline, a short statement. */
  readonly title: string;
  /** What the verifier knows at that point and why it refuses; whole sentences. */
  readonly why: string;
  /** C (or assembly) that is refused, and the same cured. */
  readonly before?: string;
  readonly after?: string;
  /** A program that is rejected with exactly this code. */
  readonly example: ErrorExample;
  /** What depends on the version of Linux. */
  readonly notes?: string;
}

/** A program to look at and, but for {@link NoExample}, to put to the verifier. */
export type ErrorExample = AsmExample | CExample | NoExample;

/** A program in LLVM's BPF assembly; helpers, kernel functions and maps by name. */
export interface AsmExample {
  readonly kind: "asm";
  readonly text: string;
  readonly type: ProgramTypeName;
  readonly attachType?: AttachTypeName;
  /** Typedef, function or structure of the kernel that the program is attached to, as its BTF names it. */
  readonly attachTo?: string;
  /** `r1 = NAME ll` loads the map, `r1 = NAME_value ll` the address of its first value. */
  readonly maps?: Readonly<Record<string, ExampleMap>>;
  readonly capabilities?: CapabilitySet;
  /** Default GPL. */
  readonly license?: string;
  readonly flags?: VerifierProgramFlags;
}

/** A map of an assembly example. */
export interface ExampleMap {
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_*. */
  readonly flags?: number;
}

/** C that includes `errors.h`; its object lies in `fixtures/errors/`. */
export interface CExample {
  readonly kind: "c";
  readonly text: string;
}

/** The code cannot be provoked by a small program. */
export interface NoExample {
  readonly kind: "none";
  readonly reason: string;
}

type AsmOptions = Omit<AsmExample, "kind" | "text" | "type">;

/** An assembly example for a type of program, without `BPF_PROG_TYPE_`. */
export function asm(type: string, text: string, options: AsmOptions = {}): AsmExample {
  return { kind: "asm", type: `BPF_PROG_TYPE_${type}` as ProgramTypeName, text: text.trim(), ...options };
}

/** An example in C. */
export function c(text: string): CExample {
  return { kind: "c", text: text.trim() };
}

/** No example, because of `reason`. */
export function none(reason: string): NoExample {
  return { kind: "none", reason };
}

/** Four values of 16 bytes. */
export const VALUES: ExampleMap = { type: "BPF_MAP_TYPE_HASH", keySize: 4, valueSize: 16, maxEntries: 4 };
/** A ring buffer of a page. */
export const RINGBUF: ExampleMap = {
  type: "BPF_MAP_TYPE_RINGBUF",
  keySize: 0,
  valueSize: 0,
  maxEntries: 4096,
};

/** r0 = the value of key 0 of `values`, or NULL. */
export const LOOKUP = `*(u32 *)(r10 - 4) = 0
r2 = r10
r2 += -4
r1 = values ll
call bpf_map_lookup_elem`;
/** r0 = a value of `values`, not NULL. */
export const VALUE = `${LOOKUP}
if r0 == 0 goto out`;
