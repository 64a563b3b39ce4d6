import type { VerifierEnv } from "../env.ts";
import { A, ID, SMIN, TYPE, VAR_VALUE } from "../layout.ts";
import { RegType, regTypeName } from "../register-types.ts";
import { isConst, signed64, smin, umax } from "../regs.ts";
import { MAX_VAR_OFF, tnumText } from "./row.ts";

/** What a check of bounds says is wrong, in the kernel's words; undefined: inside. */
function boundsError(
  env: VerifierEnv,
  reg: number,
  off: number,
  size: number,
  memSize: number,
  zeroSizeAllowed: boolean,
): string | undefined {
  const sizeOk = size > 0 || (size === 0 && zeroSizeAllowed);
  if (off >= 0 && sizeOk && off + size <= memSize) return undefined;
  const row = env.reg(reg);
  const { i32 } = env.mem;
  switch (i32[row + TYPE]) {
    case RegType.PTR_TO_MAP_KEY:
      return `invalid access to map key, key_size=${memSize | 0} off=${off} size=${size}`;
    case RegType.PTR_TO_MAP_VALUE:
      return `invalid access to map value, value_size=${memSize | 0} off=${off} size=${size}`;
    case RegType.PTR_TO_PACKET:
    case RegType.PTR_TO_PACKET_META:
    case RegType.PTR_TO_PACKET_END:
      return `invalid access to packet, off=${off} size=${size}, R${reg}(id=${i32[row + ID]},off=${off},r=${memSize | 0})`;
    default:
      return `invalid access to memory, mem_size=${memSize >>> 0} off=${off} size=${size}`;
  }
}

const NEGATIVE_INDEX = "min value is negative, either use unsigned index or do a if (index >=0) check.";

/**
 * `size` bytes at register `reg` + `off` (the register's fixed offset included) lie in a region of `memSize` bytes,
 * whatever the variable offset is. `check_mem_region_access` @ v6.18
 */
export function checkRegion(
  env: VerifierEnv,
  reg: number,
  off: number,
  size: number,
  memSize: number,
  zeroSizeAllowed: boolean,
): void {
  const row = env.reg(reg);
  const min = smin(env, row);
  // The sum has to fit 32 bits, as the kernel adds with ints from here on.
  if (min < 0 && (min + off < 0 || ((min + off) | 0) !== min + off)) {
    env.fail("verifier/negative-index", `R${reg} ${NEGATIVE_INDEX}`, "EACCES");
  }
  const low = (env.mem.i32[row + SMIN] + off) | 0;
  const below = boundsError(env, reg, low, size, memSize, zeroSizeAllowed);
  if (below !== undefined) {
    env.verbose(`${below}\n`);
    env.fail("verifier/out-of-bounds", `R${reg} min value is outside of the allowed memory range`, "EACCES");
  }
  const max = umax(env, row);
  if (max >= MAX_VAR_OFF) {
    env.fail(
      "verifier/unbounded-access",
      `R${reg} unbounded memory access, make sure to bounds check any such access`,
      "EACCES",
    );
  }
  const above = boundsError(env, reg, (max + off) | 0, size, memSize, zeroSizeAllowed);
  if (above !== undefined) {
    env.verbose(`${above}\n`);
    env.fail("verifier/out-of-bounds", `R${reg} max value is outside of the allowed memory range`, "EACCES");
  }
}

/** `size` bytes at packet pointer `reg` + `off` were compared with the packet's end. `check_packet_access` @ v6.18 */
export function checkPacket(
  env: VerifierEnv,
  reg: number,
  off: number,
  size: number,
  zeroSizeAllowed: boolean,
): void {
  const row = env.reg(reg);
  if (smin(env, row) < 0) env.fail("verifier/negative-index", `R${reg} ${NEGATIVE_INDEX}`, "EACCES");
  const range = env.mem.i32[row + A];
  const outside = range < 0 ? "" : boundsError(env, reg, off, size, range, zeroSizeAllowed);
  if (outside === undefined) return;
  if (outside !== "") env.verbose(`${outside}\n`);
  env.fail(
    "verifier/packet-bounds",
    `R${reg} offset is outside of the packet`,
    range < 0 ? "EINVAL" : "EACCES",
  );
}

/**
 * The pointer is as the program got it: no variable offset, and no fixed one unless `fixedOk`.
 * `__check_ptr_off_reg` @ v6.18
 */
export function checkUnmodified(
  env: VerifierEnv,
  row: number,
  reg: number,
  off: number,
  fixedOk: boolean,
): void {
  const name = regTypeName(env.mem.i32[row + TYPE]);
  if (off < 0) {
    env.fail(
      "verifier/modified-pointer",
      `negative offset ${name} ptr R${reg} off=${off} disallowed`,
      "EACCES",
    );
  }
  if (!fixedOk && off !== 0) {
    env.fail(
      "verifier/modified-pointer",
      `dereference of modified ${name} ptr R${reg} off=${off} disallowed`,
      "EACCES",
    );
  }
  if (!isConst(env, row) || signed64(env, row + VAR_VALUE) !== 0) {
    env.fail(
      "verifier/variable-offset",
      `variable ${name} access var_off=${tnumText(env, row)} disallowed`,
      "EACCES",
    );
  }
}
