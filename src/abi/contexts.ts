import type { AttachTypeName } from "./attach-types.ts";
import { type ContextStruct, type ContextStructName, contextStruct } from "./context-structs.ts";
import { ACCESS_SETS, CONTEXT_ROWS } from "./generated/ctx-access.ts";
import { type ProgramTypeName, programTypeRow } from "./program-types.ts";

/** Accesses of `size` bytes at `first`, `first + step`, … `last`: `[size, first, last, step]`. */
export type AccessRange = readonly [size: number, first: number, last: number, step: number];

/** Which loads and stores of a context Linux lets through. */
export interface AccessSet {
  readonly read: readonly AccessRange[];
  readonly write: readonly AccessRange[];
  /** No fixed end: aligned reads go on to the end of the structure (tracepoint records, syscall arguments). */
  readonly open?: true;
}

/** What the kernel answered for one program and attach type. */
export interface ContextRow {
  readonly type: ProgramTypeName;
  readonly attach: AttachTypeName | undefined;
  /** Smallest and largest return value the verifier accepts; undefined: any. */
  readonly returns: readonly [min: number, max: number] | undefined;
  /** Index into the access sets. */
  readonly access: number;
}

/** A program's view of its context. */
export interface Context {
  readonly struct: ContextStructName | undefined;
  /** Bytes of the structure; the largest possible for the open-ended ones. */
  readonly size: number;
  readonly fields: ContextStruct["fields"];
  /** The kernel's own ranges, for building tables. */
  readonly access: AccessSet;
  /** Smallest and largest return value the verifier accepts; undefined: any. */
  readonly returns: readonly [min: number, max: number] | undefined;
  mayRead(offset: number, size: number): boolean;
  mayWrite(offset: number, size: number): boolean;
}

/** Types without a structure see up to 12 arguments of 8 bytes (MAX_BPF_FUNC_ARGS) and a return value. */
const ARGUMENT_BYTES = 13 * 8;
const ARGUMENTS: AccessSet = { read: [[8, 0, ARGUMENT_BYTES - 8, 8]], write: [] };
const LIRC_SAMPLE: AccessSet = { read: [[4, 0, 0, 4]], write: [] };

/**
 * The context that a program of this type and attach type gets in r1: layout, allowed accesses, allowed results, as
 * Linux 6.18 answers them. Without an attach type, or for one that was not probed, the type's default.
 */
export function contextOf(type: ProgramTypeName, attach?: AttachTypeName): Context {
  const rows = CONTEXT_ROWS.filter((row) => row.type === type);
  const row = rows.find((candidate) => candidate.attach === attach) ?? rows[0];
  const name = programTypeRow(type).context;
  const struct = name === undefined ? { size: ARGUMENT_BYTES, fields: [] } : contextStruct(name);
  const unprobed = type === "BPF_PROG_TYPE_LIRC_MODE2" ? LIRC_SAMPLE : ARGUMENTS;
  const access = row === undefined ? unprobed : ACCESS_SETS[row.access];
  const openEnd = access.open ? struct.size : 0;
  return {
    struct: name,
    size: struct.size,
    fields: struct.fields,
    access,
    returns: row?.returns,
    mayRead: (offset, size) => allows(access.read, offset, size, openEnd),
    mayWrite: (offset, size) => allows(access.write, offset, size, openEnd),
  };
}

function allows(ranges: readonly AccessRange[], offset: number, size: number, openEnd: number): boolean {
  return ranges.some(([width, first, last, step]) => {
    if (width !== size || offset < first || (offset - first) % step !== 0) return false;
    return offset <= last || (openEnd > 0 && offset + size <= openEnd);
  });
}
