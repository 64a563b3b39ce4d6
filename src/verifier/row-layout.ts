/**
 * A register's row, as layout.ts draws it: word offsets. Read by both compilers, TypeScript and AssemblyScript: nothing
 * but constants.
 */

/** Register type (low 8 bits) and type flags, as in register-types.ts. */
export const TYPE = 0;
/** Fixed part of a pointer's offset, signed; of a linked scalar: the distance to the others with the same id. */
export const OFF = 1;
/**
 * By type. Packet pointers: `range` (signed; BEYOND_PKT_END, AT_PKT_END). CONST_PTR_TO_MAP, PTR_TO_MAP_VALUE,
 * PTR_TO_MAP_KEY: index into `env.maps`. PTR_TO_MEM: size in bytes. PTR_TO_BTF_ID: BTF type id. PTR_TO_FUNC: number of
 * the subprogram. CONST_PTR_TO_DYNPTR and dynptr slots: dynptr type. Iterator slots: BTF id of the iterator's structure.
 * Irq-flag slots: kfunc class.
 */
export const A = 2;
/**
 * By type. Maps: `map_uid` (id of the outer lookup that gave an inner map). PTR_TO_MEM: `dynptr_id` of a slice.
 * PTR_TO_BTF_ID and iterator slots: index into `env.btfs` (0 kernel, 1 program). Dynptr: 1 in the first slot.
 */
export const B = 3;
/** By type. PTR_TO_STACK: number of the frame. Iterator slots: `state | depth << 2`. */
export const C = 4;
/** Links copies of one value (`BPF_ADD_CONST` may be set); 0: none. Dynptr slots: the dynptr's id. */
export const ID = 5;
/** Reference that keeps the pointed-to object alive; 0: none. */
export const REF_OBJ_ID = 6;
/** 1: the scalar's exact value matters to the paths behind it (`mark_chain_precision`). */
export const PRECISE = 7;
/** `var_off.value`, low word first as all 64-bit members. */
export const VAR_VALUE = 8;
/** `var_off.mask`: unknown bits. */
export const VAR_MASK = 10;
/** Signed 64-bit minimum. */
export const SMIN = 12;
/** Signed 64-bit maximum. */
export const SMAX = 14;
/** Unsigned 64-bit minimum. */
export const UMIN = 16;
/** Unsigned 64-bit maximum. */
export const UMAX = 18;
/** Signed minimum of the low 32 bits. */
export const S32_MIN = 20;
/** Signed maximum of the low 32 bits. */
export const S32_MAX = 21;
/** Unsigned minimum of the low 32 bits. */
export const U32_MIN = 22;
/** Unsigned maximum of the low 32 bits. */
export const U32_MAX = 23;
/** Words of a row: 96 bytes, a multiple of 8. */
export const ROW_WORDS = 24;
/** First word of what the domain owns (tnum and ranges). */
export const DOMAIN_WORDS_AT = VAR_VALUE;
