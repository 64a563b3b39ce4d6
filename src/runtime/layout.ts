// Numbers that the host (TypeScript) and the wasm module (AssemblyScript, `assembly/`) must agree on. Plain
// constants without types or imports: both compilers read this very file.

/** Bytes of the low address range that never holds anything: null and small offsets trap. */
export const NULL_PAGE = 65536;

/** Linux: MAX_BPF_STACK, MAX_CALL_FRAMES, MAX_TAIL_CALL_CNT. */
export const STACK_BYTES = 512;
export const MAX_FRAMES = 8;
export const MAX_TAIL_CALLS = 33;

// A register's provenance, 16 bytes beside each of r0–r10 and each 8-byte stack slot:
//   +0 u32 kind | flags    +4 u32 base    +8 u32 end (exclusive)    +12 u32 aux
// An access through a register must lie in [base, end). Provenance is copied by moves, kept by pointer ± scalar,
// spilled and filled with aligned 8-byte stack accesses, and lost (SCALAR) by every other operation: just what the
// Linux verifier lets a program rely on.
export const PROV_BYTES = 16;
export const PROV_KIND = 0;
export const PROV_BASE = 4;
export const PROV_END = 8;
export const PROV_AUX = 12;

/** Provenance kinds (low byte of the first word). `aux` in brackets. */
export const NOT_INIT = 0;
export const SCALAR = 1;
/** The program's context; accesses go by the context table. */
export const PTR_TO_CTX = 2;
/** [frame number] */
export const PTR_TO_STACK = 3;
/** Address of a map header; never dereferenced. [unused] */
export const CONST_PTR_TO_MAP = 4;
/** [address of the map header] */
export const PTR_TO_MAP_VALUE = 5;
export const PTR_TO_MAP_KEY = 6;
/** [packet generation] */
export const PTR_TO_PACKET = 7;
export const PTR_TO_PACKET_META = 8;
export const PTR_TO_PACKET_END = 9;
/** Plain memory: ring-buffer record, `skep exec` memory, dynptr slice. [reference id, 0: none] */
export const PTR_TO_MEM = 10;
/** Socket object, UAPI `struct bpf_sock` layout. [reference id, 0: none] */
export const PTR_TO_SOCKET = 11;
/** `lddw &func`: value is the slot of the function. */
export const PTR_TO_FUNC = 12;
/** Arena address. [address of the map header] */
export const PTR_TO_ARENA = 13;
/** An object of the kernel's (task, cgroup, …): opaque unless the runtime gives it bytes. [reference id] */
export const PTR_TO_BTF_ID = 14;

/** Flag: stores through this pointer are refused. */
export const PROV_RDONLY = 256;

// Map header in linear memory: the value of a CONST_PTR_TO_MAP register. Map kinds may append fields from MAP_PRIVATE.
export const MAP_TYPE = 0;
export const MAP_KEY_SIZE = 4;
export const MAP_VALUE_SIZE = 8;
export const MAP_MAX_ENTRIES = 12;
export const MAP_FLAGS = 16;
/** Index into the kernel's map list (host side object). */
export const MAP_ID = 20;
/** Bytes from one element's value to the next CPU's or element's: value size rounded up to 8. */
export const MAP_VALUE_STRIDE = 24;
export const MAP_NUM_CPUS = 28;
/** First value of array-like maps (array, percpu array), 0 for others. */
export const MAP_VALUES = 32;
export const MAP_FROZEN = 36;
export const MAP_PRIVATE = 64;
