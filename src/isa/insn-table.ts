/**
 * A decoded program: one column per field of RFC 9669 §3.1, row = instruction slot (a wide `lddw` takes two slots),
 * so a jump lands on `pc + 1 + off[pc]`. Read-only after decode.
 */
export interface InsnTable {
  /** Slots of 8 bytes. */
  readonly length: number;
  readonly opcode: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  /** Signed; in slots for jumps, bytes for memory. */
  readonly off: Int16Array;
  /** Signed; callers sign-extend to 64 bits. */
  readonly imm: Int32Array;
}
