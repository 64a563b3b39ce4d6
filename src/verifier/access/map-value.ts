import { type MapTypeName, mapTypeRow, UAPI } from "../../abi/index.ts";
import type { VerifierEnv } from "../env.ts";
import type { VerifierMap } from "../input.ts";
import { A } from "../layout.ts";
import { MemAccess } from "../ports.ts";
import { isConst, smin, umax } from "../regs.ts";
import { checkRegion } from "./memory-region.ts";
import { FIELD_KINDS, isKptr } from "./record.ts";
import { constLow } from "./row.ts";

/** Device maps hand out the kernel's own device numbers: `BPF_F_RDONLY_PROG` without being asked for. */
const READ_ONLY_TYPES: ReadonlySet<MapTypeName> = new Set<MapTypeName>([
  "BPF_MAP_TYPE_DEVMAP",
  "BPF_MAP_TYPE_DEVMAP_HASH",
]);

/** Programs may only read the map's values. */
export function isProgramReadOnly(map: VerifierMap): boolean {
  return (map.flags & UAPI.BPF_F_RDONLY_PROG) !== 0 || READ_ONLY_TYPES.has(map.type);
}

/** The map's flags let programs write (or read) its values. `check_map_access_type` @ v6.18 */
export function checkMapDirection(
  env: VerifierEnv,
  reg: number,
  off: number,
  size: number,
  access: MemAccess,
): void {
  const map = env.maps[env.mem.i32[env.reg(reg) + A]];
  if (access === MemAccess.WRITE && isProgramReadOnly(map)) {
    env.fail(
      "verifier/map-read-only",
      `write into map forbidden, value_size=${map.valueSize} off=${off} size=${size}`,
      "EACCES",
    );
  }
  if (access === MemAccess.READ && (map.flags & UAPI.BPF_F_WRONLY_PROG) !== 0) {
    env.fail(
      "verifier/map-write-only",
      `read from map forbidden, value_size=${map.valueSize} off=${off} size=${size}`,
      "EACCES",
    );
  }
}

/**
 * `size` bytes of a map value, without its special fields; a kptr may be loaded and stored whole (`direct`: by an
 * instruction, not by a helper). `check_map_access` @ v6.18
 */
export function checkMapValue(
  env: VerifierEnv,
  reg: number,
  off: number,
  size: number,
  zeroSizeAllowed: boolean,
  direct: boolean,
): void {
  const row = env.reg(reg);
  const mapIndex = env.mem.i32[row + A];
  checkRegion(env, reg, off, size, env.maps[mapIndex].valueSize, zeroSizeAllowed);
  const record = env.access.mapRecord(env, mapIndex);
  if (record === undefined) return;
  const first = smin(env, row) + off;
  const end = umax(env, row) + off + size;
  for (const field of record.fields) {
    if (first >= field.offset + field.size || field.offset >= end) continue;
    if (!isKptr(field) && field.kind !== "uptr") {
      env.fail(
        "verifier/special-field",
        `${FIELD_KINDS[field.kind].name} cannot be accessed directly by load/store`,
        "EACCES",
      );
    }
    const kind = field.kind === "uptr" ? "uptr" : "kptr";
    if (!direct)
      env.fail("verifier/kptr-access", `${kind} cannot be accessed indirectly by helper`, "EACCES");
    if (!isConst(env, row)) {
      env.fail("verifier/kptr-access", `${kind} access cannot have variable offset`, "EACCES");
    }
    const at = off + constLow(env, row);
    if (field.offset !== at) {
      env.fail(
        "verifier/kptr-access",
        `${kind} access misaligned expected=${field.offset} off=${at}`,
        "EACCES",
      );
    }
    if (size !== 8) env.fail("verifier/kptr-access", `${kind} access size must be BPF_DW`, "EACCES");
  }
}

/** Nobody changes the map's values any more: their bytes are constants. `bpf_map_is_rdonly` @ v6.18 */
export function isConstantMap(map: VerifierMap): boolean {
  return (map.flags & UAPI.BPF_F_RDONLY_PROG) !== 0 && map.frozen === true;
}

/** Values lie at a fixed address that the verifier can read: `map_direct_value_addr` (arrays of one element). */
export function hasDirectValue(map: VerifierMap): boolean {
  return (
    map.type === "BPF_MAP_TYPE_ARRAY" ||
    map.type === "BPF_MAP_TYPE_PERCPU_ARRAY" ||
    map.type === "BPF_MAP_TYPE_ARENA"
  );
}

/** Bytes of the constant element; an element nobody wrote is zeroes. */
export function constantBytes(map: VerifierMap): Uint8Array {
  return map.data ?? new Uint8Array(map.valueSize);
}

/**
 * Loads a constant from a frozen map into the row: `size` bytes at offset `off` of the value, which is inside it.
 * `bpf_map_direct_read` @ v6.18
 */
export function loadConstant(
  env: VerifierEnv,
  row: number,
  map: VerifierMap,
  off: number,
  size: number,
  signExtend: boolean,
): void {
  const bytes = constantBytes(map);
  let lo = 0;
  let hi = 0;
  for (let i = Math.min(size, 4) - 1; i >= 0; i--) lo = (lo << 8) | (bytes[off + i] ?? 0);
  for (let i = size - 1; i >= 4; i--) hi = (hi << 8) | (bytes[off + i] ?? 0);
  if (signExtend && size < 8) {
    const shift = 32 - 8 * size;
    lo = (lo << shift) >> shift;
    hi = lo >> 31;
  }
  env.domain.markKnown(row, lo, hi);
}

/** Number of a map type, for messages. */
export function mapTypeNumber(map: VerifierMap): number {
  return mapTypeRow(map.type).id;
}
