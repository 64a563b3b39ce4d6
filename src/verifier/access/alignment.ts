import type { VerifierEnv } from "../env.ts";
import { OFF, TYPE } from "../layout.ts";
import { RegType } from "../register-types.ts";
import { tnumText } from "./row.ts";

/** The word that messages put before "access"; pointers without one have none. */
const DESCRIPTIONS: Readonly<Record<number, string>> = {
  [RegType.PTR_TO_FLOW_KEYS]: "flow keys ",
  [RegType.PTR_TO_MAP_KEY]: "key ",
  [RegType.PTR_TO_MAP_VALUE]: "value ",
  [RegType.PTR_TO_CTX]: "context ",
  [RegType.PTR_TO_STACK]: "stack ",
  [RegType.PTR_TO_SOCKET]: "sock ",
  [RegType.PTR_TO_SOCK_COMMON]: "sock_common ",
  [RegType.PTR_TO_TCP_SOCK]: "tcp_sock ",
  [RegType.PTR_TO_XDP_SOCK]: "xdp_sock ",
};

/** Packets start 2 bytes off (`NET_IP_ALIGN`), so that the IP header is aligned. */
const IP_ALIGN = 2;

/** Rejects an unaligned access where that matters: always on the stack, else in strict mode. `check_ptr_alignment` @ v6.18 */
export function checkAlignment(
  env: VerifierEnv,
  row: number,
  off: number,
  size: number,
  strictOnce: boolean,
): void {
  if (size === 1) return;
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  if (!env.strictAlignment && !strictOnce && type !== RegType.PTR_TO_STACK) return;
  if (type === RegType.PTR_TO_ARENA) return;
  const fixed = i32[row + OFF];
  if (type === RegType.PTR_TO_PACKET || type === RegType.PTR_TO_PACKET_META) {
    if (env.domain.isAligned(row, (IP_ALIGN + fixed + off) | 0, size) !== 0) return;
    env.fail(
      "verifier/misaligned-access",
      `misaligned packet access off ${IP_ALIGN}+${tnumText(env, row)}+${fixed}+${off} size ${size}`,
      "EACCES",
    );
  }
  if (env.domain.isAligned(row, (fixed + off) | 0, size) !== 0) return;
  env.fail(
    "verifier/misaligned-access",
    `misaligned ${DESCRIPTIONS[type] ?? ""}access off ${tnumText(env, row)}+${fixed}+${off} size ${size}`,
    "EACCES",
  );
}
