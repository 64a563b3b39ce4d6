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
/** Flag: a map value with fields of the kernel's (spin lock, timer, kptr): accesses are compared with MAP_FIELDS. */
export const PROV_SPECIAL = 512;

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
/** 1: mapLookup, mapUpdate, mapDelete (assembly/maps) do all there is to do; 0: ask the host side object. */
export const MAP_NATIVE = 40;
/** Address of the table of special fields (u32 count, then u32 offset, size, kind each); 0: none. */
export const MAP_FIELDS = 44;
/** Bytes at one element's address: stride, times CPUs for per-CPU kinds. */
export const MAP_ELEM_BYTES = 48;
/** Shared memory: odd while an operation changes the map; each change adds 2. */
export const MAP_VERSION = 52;
/** Shared memory: held by who changes the map (assembly/locks.ts). */
export const MAP_LOCK = 56;
export const MAP_PRIVATE = 64;
// Hash kinds, in their private part: what compiled lookups use.
/** Address of the buckets: a u32 each, the first node's address or 0. A node's first word is the next node's. */
export const HASH_BUCKETS = 88;
/** Number of buckets - 1. */
export const HASH_MASK = 92;
/** Bytes from a node to its key, and to its value. */
export const HASH_KEY_AT = 96;
export const HASH_VALUE_AT = 100;
/** How keys are hashed: HASH_BY_WORDS, HASH_BY_BYTES, or HASH_AS_LINUX (jhash with seed 0, for the kernel's order). */
export const HASH_HOW = 104;
export const HASH_BY_WORDS = 0;
export const HASH_BY_BYTES = 1;
export const HASH_AS_LINUX = 2;
/** LRU: offset of the byte in a node that a program's lookup sets to 1. */
export const HASH_USED_AT = 9;
/** Longest key that is hashed by words. */
export const HASH_WORDS_MAX = 32;
/** Multiplier of each word of a key: odd, below 2^53. */
export const HASH_M0 = 0x1e3779b97f4a7d;
export const HASH_M1 = 0x16e8feb86659fd;
export const HASH_M2 = 0x1a0761d6478bd7;
export const HASH_M3 = 0x1b873593cc9e2d;
export const HASH_M4 = 0x1589965cc75375;
export const HASH_M5 = 0x19d8af066a0a5f;
export const HASH_M6 = 0x1f58ab4763d2c9;
export const HASH_M7 = 0x12b5a0f3b1e7cd;

// A machine: registers, frames and provenance of one run (a run inside a run, such as a timer's, gets its own).
// Allocated by `machineNew()`; every field is at a fixed offset from its address.
export const MACHINE_DEPTH = 0; // u32, index of the running frame
export const MACHINE_CODE = 4; // u32, address of the code block being run
export const MACHINE_FUEL = 8; // i64, instructions left
export const MACHINE_PC = 16; // u32, slot of the instruction that called out or failed
export const MACHINE_TAIL_CALLS = 20;
/** Packet of the run: what loads of the context's packet fields turn into. */
export const MACHINE_DATA_META = 24;
export const MACHINE_DATA = 28;
export const MACHINE_DATA_END = 32;
export const MACHINE_GENERATION = 36;
export const MACHINE_CONTEXT = 40;
/** 1: reads of uninitialised stack bytes give zero (as Linux allows privileged programs since 6.4). */
export const MACHINE_UNINIT_OK = 44;
/** Address of the byte-per-reference table: 1 while the reference is held. */
export const MACHINE_REFS = 48;
export const MACHINE_REF_COUNT = 52;
/** CPU the run believes to be on. */
export const MACHINE_CPU = 56;
/** 1: raw bytecode without a program type (`skep exec`). */
export const MACHINE_RAW = 60;
/** What went wrong: code, register, address, size (see ERR_* below). */
export const MACHINE_ERR_REG = 64;
export const MACHINE_ERR_SIZE = 68;
export const MACHINE_ERR_ADDR = 72; // u64
/** How often may_goto of this frame may still fall through. */
export const MACHINE_MAY_GOTO = 96; // u32 × NESTED_FRAMES
/** Slot and code block to go back to, for each frame. */
export const MACHINE_RETURN = 384; // u32 × NESTED_FRAMES
export const MACHINE_RETURN_CODE = 672; // u32 × NESTED_FRAMES
/** Depth of a frame within its own program: a tail call starts to count anew. */
export const MACHINE_LEVEL = 960; // u32 × NESTED_FRAMES
/**
 * Frames of one run, all programs together: a tail call from a subprogram leaves the caller's frames in place, so they
 * can be more than the MAX_FRAMES of each program.
 */
export const NESTED_FRAMES = 72;
export const MACHINE_FRAMES = 1248; // register files: NESTED_FRAMES × FRAME_REGS_BYTES
/** One register: u64 value, then PROV_BYTES of provenance, 8 spare. */
export const REG_BYTES = 32;
export const REG_PROV = 8;
export const FRAME_REGS_BYTES = 352; // 11 × REG_BYTES
export const MACHINE_STACK = 26624; // NESTED_FRAMES × STACK_BYTES, frame 0 first; r10 of frame n = stack + (n + 1) * 512
/** One byte for each stack byte: 0 never written, 1 data, 2 part of a spilled pointer. */
export const MACHINE_SHADOW = 63488;
/** PROV_BYTES for each 8-byte stack slot; meaningful where the shadow says 2. */
export const MACHINE_SLOTS = 100352;
export const MACHINE_BYTES = 174080;

// What programs ask about the moment, copied from the host (assembly/helpers/current.ts).
/** How often the clocks may still be read before the host is asked again. */
export const CURRENT_CLOCK_USES = 0;
/** How many numbers of CURRENT_RANDOM are left; the last one is next. */
export const CURRENT_RANDOM_LEFT = 4;
/** 1: pid, uid and comm are the current task's. */
export const CURRENT_TASK_KNOWN = 8;
export const CURRENT_MONOTONIC = 16;
export const CURRENT_REALTIME = 24;
export const CURRENT_PID_TGID = 32;
export const CURRENT_UID_GID = 40;
export const CURRENT_COMM = 48;
export const CURRENT_RANDOM = 64;
export const CURRENT_RANDOM_MAX = 16;
export const CURRENT_BYTES = 128;
export const REFILL_CLOCK = 0;
export const REFILL_RANDOM = 1;
export const REFILL_TASK = 2;

// Packet of a run: PACKET_BYTES in front of the context, whose data, data_end and data_meta fields are the only place
// where those addresses stand (a context without such a field has them here).
export const PACKET_BYTES = 64;
/** First byte of head room, one past the last byte of tail room. */
export const PACKET_START = 0;
export const PACKET_LIMIT = 4;
/** Counts what ended the program's packet pointers. */
export const PACKET_GENERATION = 8;
/** Bytes behind the linear part, which the host keeps. */
export const PACKET_FRAG_BYTES = 12;
/** Addresses of an skb's headers; transport: 0: not set. */
export const PACKET_MAC = 16;
export const PACKET_NETWORK = 20;
export const PACKET_TRANSPORT = 24;
export const PACKET_DATA = 28;
export const PACKET_DATA_END = 32;
export const PACKET_DATA_META = 36;
/** Offsets of those fields in `struct xdp_md` and `struct __sk_buff`. */
export const XDP_DATA = 0;
export const XDP_DATA_END = 4;
export const XDP_DATA_META = 8;
export const SKB_DATA = 76;
export const SKB_DATA_END = 80;
/** `sizeof(struct xdp_frame)`: the part of the head room that `bpf_xdp_adjust_head` may not enter. */
export const XDP_FRAME_BYTES = 40;
/** Linux: ETH_HLEN. */
export const ETH_HLEN = 14;
/** Answer of a helper in wasm that leaves the call to the host; src/jit/surroundings.ts has the same. */
export const ASK_HOST = 0x7fffffff;

// Code block: a loaded program.
export const CODE_INSNS = 0; // address of the raw instructions
export const CODE_SLOTS = 4; // number of 8-byte slots
export const CODE_CONTEXT_TABLE = 8; // address of the context table, one entry for each context byte
export const CODE_CONTEXT_BYTES = 12;
export const CODE_ARENA_BASE = 16;
export const CODE_ARENA_END = 20;
export const CODE_ARENA_MAP = 24;
/** Host's number of the program. */
export const CODE_ID = 28;
/** Index of the compiled entry function in the engine's table (JIT only); 0: none. */
export const CODE_ENTRY = 32;
export const CODE_BYTES = 36;

// Context table entry, 8 bytes for each byte of the context: what an access that starts there may do.
export const CTX_READ_SIZES = 0; // u8, bits 1|2|4|8: allowed sizes
export const CTX_WRITE_SIZES = 1; // u8
export const CTX_POINTER = 2; // u8, PTR_TO_* that a load yields, 0: scalar
export const CTX_POINTER_FLAGS = 3; // u8, 1: read-only; 2: a store keeps 16 bits; 4: and is ignored from 0xffff on
export const CTX_LEFT = 4; // u16, bytes from here to the end of the field
export const CTX_POINTEE = 6; // u16, bytes behind a socket, memory or BTF pointer
export const CTX_ENTRY_BYTES = 8;

/** What `execute` answers. */
export const STATUS_EXIT = 0;
export const ERR_BUDGET = 1;
export const ERR_BAD_INSN = 2;
export const ERR_PC = 3;
export const ERR_UNINIT_REG = 4;
export const ERR_UNINIT_STACK = 5;
export const ERR_NOT_POINTER = 6;
export const ERR_BOUNDS = 7;
export const ERR_READ_ONLY = 8;
export const ERR_CONTEXT = 9;
export const ERR_STALE_PACKET = 10;
export const ERR_RELEASED = 11;
export const ERR_CALL_DEPTH = 12;
export const ERR_FRAME_POINTER = 13;
export const ERR_ALIGNMENT = 14;
export const ERR_OPAQUE = 15;
export const ERR_CALL_TARGET = 16;
export const ERR_LD_ABS = 17;
export const ERR_KEY_VALUE = 18;
export const ERR_NOT_MAP = 19;
/** Atomics on context or packet. */
export const ERR_ATOMIC_REGION = 20;
/** Answer of a map fast path that leaves the call to the host. */
export const NOT_NATIVE = 0xffff;
/** Direct access to a spin lock, timer or kptr in a map value. */
export const ERR_SPECIAL_FIELD = 21;

// A batch: packets in linear memory that compiled code runs one after the other without the host (`assembly/batch.ts`).
/** BATCH_XDP, BATCH_SKB or BATCH_SKB_NETWORK: how context and packet are built. */
export const BATCH_KIND = 0;
/** Index of the next packet to run, and of the one to stop before. */
export const BATCH_NEXT = 4;
export const BATCH_COUNT = 8;
/** Offset from BATCH_BYTES and length of each packet, two u32. */
export const BATCH_SPANS = 12;
export const BATCH_BYTES = 16;
/** Context that the program sees, the bytes it starts from, and how many. */
export const BATCH_CONTEXT = 20;
export const BATCH_TEMPLATE = 24;
export const BATCH_CONTEXT_BYTES = 28;
/** Packet buffer of the run, head room first; where the packet begins in it, the most that is linear, its end. */
export const BATCH_BUFFER = 32;
export const BATCH_PACKET = 36;
export const BATCH_LINEAR_MAX = 40;
export const BATCH_LIMIT = 44;
/** 1: zero the buffer around each packet, since the program may look there. */
export const BATCH_CLEAN = 48;
/** BATCH_RESULT_BYTES for each packet. */
export const BATCH_RESULTS = 52;
/** Where packets are copied after their run (0: nowhere), how much is there, how much is used. */
export const BATCH_OUTPUT = 56;
export const BATCH_OUTPUT_SIZE = 60;
export const BATCH_OUTPUT_USED = 64;
/** Number and addresses of ring buffers: a packet that leaves records in one ends the call. 0: none is watched. */
export const BATCH_RINGS = 68;
/** u32 for each packet, or 0: xdp_md.ingress_ifindex or __sk_buff.ifindex; xdp_md.rx_queue_index. */
export const BATCH_INTERFACES = 72;
export const BATCH_QUEUES = 76;
/** Why the call came back: BATCH_END, or one of the others. */
export const BATCH_STOP = 80;
/** 1: a packet is running, the one before BATCH_NEXT. */
export const BATCH_RUNNING = 84;
/** Set by the host while a packet runs: come back after it. */
export const BATCH_ASKED = 88;
/** Set by the host while a packet runs: its bytes are not (only) in the buffer, the host takes them. */
export const BATCH_HOST_BYTES = 92;
export const BATCH_HEADER_BYTES = 96;

/** u32 r0, length, offset from BATCH_OUTPUT, spare. */
export const BATCH_RESULT_BYTES = 16;

/** In the template's `__sk_buff.wire_len`: it becomes the packet's length. */
export const BATCH_OWN_LENGTH = 0xffffffff;

export const BATCH_XDP = 1;
/** `__sk_buff` whose data starts at the Ethernet header. */
export const BATCH_SKB = 2;
/** `__sk_buff` whose data starts behind it. */
export const BATCH_SKB_NETWORK = 3;

/** All packets ran. */
export const BATCH_END = 0;
/** The next packet is for the host: too long, too short, or with an unusual header. */
export const BATCH_ODD = 1;
/** There are events, or the host asked. */
export const BATCH_EVENTS = 2;
/** No room for another packet's bytes. */
export const BATCH_FULL = 3;
/** Room that BATCH_OUTPUT must have for a packet to run: what an unfragmented packet's buffer can hold. */
export const BATCH_ROOM = 4096;
