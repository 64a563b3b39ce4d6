/** Value types by their binary code. WebAssembly core specification 2.0, §5.3. */
export const VALUE_TYPES = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
} as const;
/** Name of a value type. */
export type ValueType = keyof typeof VALUE_TYPES;
/** What a table holds. */
export type RefType = "funcref" | "externref";

/** A function's type. */
export interface FuncType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Size of a table (elements) or memory (pages of 64 KiB). */
export interface Limits {
  readonly min: number;
  readonly max?: number;
  /** Memories only; `max` is then needed. */
  readonly shared?: boolean;
}

/** A global's type. */
export interface GlobalType {
  readonly type: ValueType;
  readonly mutable: boolean;
}

/** What comes before a structured instruction's body: nothing, one result, or a type of the module by its index. */
export type BlockType = "void" | ValueType | number;
