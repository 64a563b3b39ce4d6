import type { ProgramTypeName } from "../abi/index.ts";
import type { Btf } from "../btf/index.ts";
import type { FuncInfo, LineInfo } from "../object/index.ts";
import type { HelperImpl, Provenance } from "./helper-call.ts";
import type { ContextTable } from "./hooks/hook.ts";
import {
  CODE_ARENA_BASE,
  CODE_ARENA_END,
  CODE_ARENA_MAP,
  CODE_BYTES,
  CODE_CONTEXT_BYTES,
  CODE_CONTEXT_TABLE,
  CODE_ID,
  CODE_INSNS,
  CODE_SLOTS,
  CTX_ENTRY_BYTES,
  CTX_LEFT,
  CTX_POINTEE,
  CTX_POINTER,
  CTX_POINTER_FLAGS,
  CTX_READ_SIZES,
  CTX_WRITE_SIZES,
  PTR_TO_BTF_ID,
  PTR_TO_MEM,
  PTR_TO_PACKET,
  PTR_TO_PACKET_END,
  PTR_TO_PACKET_META,
  PTR_TO_SOCKET,
} from "./layout.ts";
import type { KernelModule } from "./wasm-module.ts";

/** What is true of a program however it is run. */
export interface ProgramFacts {
  /** By slot: 1 for instructions that some path reaches. */
  readonly reached: Uint8Array;
}

/** What the engine needs of a program: all names already resolved. */
export interface CodeInput {
  readonly id: number;
  readonly name: string;
  readonly type: ProgramTypeName;
  /** Little endian, maps and functions resolved to addresses and slots. */
  readonly insns: Uint8Array;
  readonly funcs: readonly FuncInfo[];
  /** Sorted by slot. */
  readonly lines: readonly LineInfo[];
  readonly context: ContextTable;
  /** BTF of the object, for helpers that look types up. */
  readonly btf?: Btf | undefined;
  /** BTF whose `struct bpf_map` tells what lies behind a map pointer: the target of CO-RE relocations. */
  readonly kernelBtf?: Btf | undefined;
  /** By the index in the call instruction's imm. */
  readonly kfuncs: readonly LoadedKfunc[];
  /** What a poisoned call at a slot stands for: message and hint of the error when it is reached. */
  readonly poison?: ReadonlyMap<number, { readonly message: string; readonly hint: string }>;
  /** What a verifier found out. */
  readonly facts?: ProgramFacts | undefined;
  readonly arena?: { readonly base: number; readonly size: number; readonly map: number };
  /** `skep exec`: no program type, registers start as numbers. */
  readonly raw?: boolean;
}

export interface LoadedKfunc {
  readonly name: string;
  readonly impl: HelperImpl;
}

/** A program in linear memory, ready to run. */
export interface LoadedCode extends CodeInput {
  /** Address of the code block (`layout.ts`). */
  readonly address: number;
  readonly insnsAddress: number;
  /** Values with fields of the kernel's that the program has the address of (compiled programs carry no provenance). */
  special?: readonly Provenance[];
  /** Frees it all. */
  readonly free: () => void;
}

/** Puts a program's instructions, code block and context table into linear memory; undefined when there is no room. */
export function placeCode(module: KernelModule, input: CodeInput): LoadedCode | undefined {
  const { memory, exports } = module;
  const address = exports.alloc(CODE_BYTES);
  const insnsAddress = exports.alloc(Math.max(8, input.insns.length));
  const table = exports.alloc(Math.max(1, input.context.size) * CTX_ENTRY_BYTES);
  const free = () => {
    for (const block of [address, insnsAddress, table]) if (block !== 0) exports.free(block);
  };
  if (address === 0 || insnsAddress === 0 || table === 0) {
    free();
    return undefined;
  }
  memory.write(insnsAddress, input.insns);
  writeContextTable(memory.view, table, input.context);
  const { view } = memory;
  view.setUint32(address + CODE_INSNS, insnsAddress, true);
  view.setUint32(address + CODE_SLOTS, input.insns.length >> 3, true);
  view.setUint32(address + CODE_CONTEXT_TABLE, table, true);
  view.setUint32(address + CODE_CONTEXT_BYTES, input.context.size, true);
  view.setUint32(address + CODE_ID, input.id, true);
  if (input.arena !== undefined) {
    view.setUint32(address + CODE_ARENA_BASE, input.arena.base, true);
    view.setUint32(address + CODE_ARENA_END, input.arena.base + input.arena.size, true);
    view.setUint32(address + CODE_ARENA_MAP, input.arena.map, true);
  }
  return { ...input, address, insnsAddress, free };
}

const POINTER_KIND = {
  packet: PTR_TO_PACKET,
  packet_meta: PTR_TO_PACKET_META,
  packet_end: PTR_TO_PACKET_END,
  socket: PTR_TO_SOCKET,
  mem: PTR_TO_MEM,
  btf_id: PTR_TO_BTF_ID,
} as const;

/** One entry for each byte of the context: what an access that starts there may do. */
function writeContextTable(view: DataView, table: number, context: ContextTable): void {
  for (const field of context.fields) {
    for (let at = 0; at < field.size && field.offset + at < context.size; at++) {
      const entry = table + (field.offset + at) * CTX_ENTRY_BYTES;
      const aligned = alignedSizes(field.offset + at);
      const pointer = field.pointer;
      // A pointer is loaded whole or not at all.
      const read = pointer === undefined ? field.read & aligned : at === 0 ? field.read & field.size : 0;
      view.setUint8(entry + CTX_READ_SIZES, read);
      view.setUint8(entry + CTX_WRITE_SIZES, field.write & aligned);
      view.setUint16(entry + CTX_LEFT, field.size - at, true);
      if (field.keeps === "u16") view.setUint8(entry + CTX_POINTER_FLAGS, 2);
      if (field.keeps === "u16-below-max") view.setUint8(entry + CTX_POINTER_FLAGS, 6);
      if (pointer === undefined || at !== 0) continue;
      view.setUint8(entry + CTX_POINTER, POINTER_KIND[pointer.to]);
      if ("size" in pointer) {
        view.setUint8(entry + CTX_POINTER_FLAGS, pointer.readOnly === true ? 1 : 0);
        view.setUint16(entry + CTX_POINTEE, pointer.size, true);
      }
    }
  }
}

function alignedSizes(offset: number): number {
  return offset % 8 === 0 ? 15 : offset % 4 === 0 ? 7 : offset % 2 === 0 ? 3 : 1;
}
