/** Numbers as an array of u64 that the kernel reads. */
export function u64s(values: readonly (bigint | number)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
}
