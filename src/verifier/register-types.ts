// One table: types of registers, their flags, and the names they have in messages.

/** Base type of a register: the low 8 bits of TYPE. @see include/linux/bpf.h `enum bpf_reg_type` @ v6.18 */
export const RegType = {
  NOT_INIT: 0,
  SCALAR_VALUE: 1,
  PTR_TO_CTX: 2,
  CONST_PTR_TO_MAP: 3,
  PTR_TO_MAP_VALUE: 4,
  PTR_TO_MAP_KEY: 5,
  PTR_TO_STACK: 6,
  PTR_TO_PACKET_META: 7,
  PTR_TO_PACKET: 8,
  PTR_TO_PACKET_END: 9,
  PTR_TO_FLOW_KEYS: 10,
  PTR_TO_SOCKET: 11,
  PTR_TO_SOCK_COMMON: 12,
  PTR_TO_TCP_SOCK: 13,
  PTR_TO_TP_BUFFER: 14,
  PTR_TO_XDP_SOCK: 15,
  PTR_TO_BTF_ID: 16,
  PTR_TO_MEM: 17,
  PTR_TO_ARENA: 18,
  PTR_TO_BUF: 19,
  PTR_TO_FUNC: 20,
  CONST_PTR_TO_DYNPTR: 21,
} as const;
export type RegType = (typeof RegType)[keyof typeof RegType];

/** `BPF_BASE_TYPE_BITS`: flags lie above. */
export const BASE_TYPE_MASK = 0xff;

/** Type flags. @see include/linux/bpf.h `enum bpf_type_flag` */
export const TypeFlag = {
  PTR_MAYBE_NULL: 1 << 8,
  MEM_RDONLY: 1 << 9,
  MEM_RINGBUF: 1 << 10,
  MEM_USER: 1 << 11,
  MEM_PERCPU: 1 << 12,
  OBJ_RELEASE: 1 << 13,
  PTR_UNTRUSTED: 1 << 14,
  MEM_UNINIT: 1 << 15,
  DYNPTR_TYPE_LOCAL: 1 << 16,
  DYNPTR_TYPE_RINGBUF: 1 << 17,
  MEM_FIXED_SIZE: 1 << 18,
  MEM_ALLOC: 1 << 19,
  PTR_TRUSTED: 1 << 20,
  MEM_RCU: 1 << 21,
  NON_OWN_REF: 1 << 22,
  DYNPTR_TYPE_SKB: 1 << 23,
  DYNPTR_TYPE_XDP: 1 << 24,
  MEM_ALIGNED: 1 << 25,
  MEM_WRITE: 1 << 26,
  DYNPTR_TYPE_SKB_META: 1 << 27,
  DYNPTR_TYPE_FILE: 1 << 28,
} as const;

/** `type | flags` of the frequent compound types. */
export const PTR_TO_MAP_VALUE_OR_NULL = RegType.PTR_TO_MAP_VALUE | TypeFlag.PTR_MAYBE_NULL;

/** The type without its flags. */
export function baseType(type: number): number {
  return type & BASE_TYPE_MASK;
}

/** The flags without the type. */
export function typeFlags(type: number): number {
  return type & ~BASE_TYPE_MASK;
}

/** May be null. */
export function mayBeNull(type: number): boolean {
  return (type & TypeFlag.PTR_MAYBE_NULL) !== 0;
}

/** One of the three packet pointers that carry a range or take part in comparisons with the end. */
export function isPacketPointer(type: number): boolean {
  return type === RegType.PTR_TO_PACKET || type === RegType.PTR_TO_PACKET_META;
}

/** `type_is_sk_pointer` */
export function isSocketPointer(type: number): boolean {
  return (
    type === RegType.PTR_TO_SOCKET ||
    type === RegType.PTR_TO_SOCK_COMMON ||
    type === RegType.PTR_TO_TCP_SOCK ||
    type === RegType.PTR_TO_XDP_SOCK
  );
}

/** `is_pointer_value`'s test without privilege: neither a scalar nor uninitialised. */
export function isPointerType(type: number): boolean {
  return baseType(type) !== RegType.SCALAR_VALUE && type !== RegType.NOT_INIT;
}

const NAMES: readonly string[] = [
  "?",
  "scalar",
  "ctx",
  "map_ptr",
  "map_value",
  "map_key",
  "fp",
  "pkt_meta",
  "pkt",
  "pkt_end",
  "flow_keys",
  "sock",
  "sock_common",
  "tcp_sock",
  "tp_buffer",
  "xdp_sock",
  "ptr_",
  "mem",
  "arena",
  "buf",
  "func",
  "dynptr_ptr",
];

/** Flags with a word in front of the type's name, in the order in which the kernel prints them. */
const PREFIXES: readonly (readonly [flag: number, word: string])[] = [
  [TypeFlag.MEM_RDONLY, "rdonly_"],
  [TypeFlag.MEM_RINGBUF, "ringbuf_"],
  [TypeFlag.MEM_USER, "user_"],
  [TypeFlag.MEM_PERCPU, "percpu_"],
  [TypeFlag.MEM_RCU, "rcu_"],
  [TypeFlag.PTR_UNTRUSTED, "untrusted_"],
  [TypeFlag.PTR_TRUSTED, "trusted_"],
];

/** The name of a register's type in messages: `map_value_or_null`, `rcu_ptr_or_null_`. @see kernel/bpf/log.c `reg_type_str` */
export function regTypeName(type: number): string {
  const base = baseType(type);
  const prefix = PREFIXES.filter(([flag]) => (type & flag) !== 0).map(([, word]) => word);
  const postfix = !mayBeNull(type) ? "" : base === RegType.PTR_TO_BTF_ID ? "or_null_" : "_or_null";
  return `${prefix.join("")}${NAMES[base] ?? "?"}${postfix}`;
}

/** `reg->range` of a packet pointer compared with the end and found beyond it. */
export const BEYOND_PKT_END = -2;
/** … and found at the end or beyond. */
export const AT_PKT_END = -1;

/** Set in ID of a linked scalar whose OFF is a distance that a 64-bit operation made. `BPF_ADD_CONST64` */
export const ADD_CONST64 = 1 << 31;
/** … that a 32-bit operation made. `BPF_ADD_CONST32` */
export const ADD_CONST32 = 1 << 30;
/** Either. `BPF_ADD_CONST` */
export const ADD_CONST: number = ADD_CONST64 | ADD_CONST32;

/** Kinds of dynptrs. @see `enum bpf_dynptr_type` */
export const DynptrType = { INVALID: 0, LOCAL: 1, RINGBUF: 2, SKB: 3, XDP: 4, SKB_META: 5, FILE: 6 } as const;
/** States of an iterator slot. @see `enum bpf_iter_state` */
export const IterState = { INVALID: 0, ACTIVE: 1, DRAINED: 2 } as const;
/** What `refs` of a state holds. @see `enum ref_state_type` */
export const RefType = {
  PTR: 1 << 1,
  IRQ: 1 << 2,
  LOCK: 1 << 3,
  RES_LOCK: 1 << 4,
  RES_LOCK_IRQ: 1 << 5,
} as const;
