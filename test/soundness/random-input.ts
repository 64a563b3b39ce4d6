import type { Random } from "../differential/scalar-program.ts";

/** Numbers at edges, near the program's own, small ones and any. */
export function randomNumbers(random: Random, bytes: number, constants: readonly number[]): Uint8Array {
  const out = new Uint8Array(bytes);
  const view = new DataView(out.buffer);
  for (let at = 0; at < bytes; at += 8) {
    const any = (): bigint => BigInt(random(0x10000) * 0x10000 + random(0x10000));
    let value: bigint;
    switch (random(6)) {
      case 0:
        value = (1n << BigInt(random(64))) + BigInt(random(5) - 2);
        break;
      case 1:
        value = BigInt(random(80));
        break;
      case 2:
        value = (any() << 32n) | any();
        break;
      case 3:
        value = (BigInt(random(3) - 1) << 32n) + any();
        break;
      default: {
        const near = constants.length === 0 ? 0 : constants[random(constants.length)];
        value = BigInt(near) + BigInt(random(3) - 1);
        if (random(3) === 0) value = BigInt.asUintN(32, value);
        else if (random(4) === 0) value += any() << 32n;
      }
    }
    view.setBigUint64(at, BigInt.asUintN(64, value), true);
  }
  return out;
}

/** A packet that is no IP, and half the time a context. */
export function randomInput(
  random: Random,
  constants: readonly number[],
): { data: Uint8Array; ctx?: Uint8Array } {
  const data = Uint8Array.from({ length: 14 + random(random(3) === 0 ? 20 : 120) }, () => random(256));
  data.set([0x12, 0x34], 12); // no IP: its header is not looked at
  if (random(2) === 0) return { data };
  const ctx = new Uint8Array(192);
  ctx.set(randomNumbers(random, 8, constants).subarray(0, 4), 8); // mark
  ctx.set(randomNumbers(random, 8, constants).subarray(0, 4), 32); // priority
  ctx.set(randomNumbers(random, 24, constants).subarray(0, 20), 48); // cb
  return { data, ctx };
}
