import { BpfError } from "../../base/index.ts";
import { ET_DYN } from "../../elf/index.ts";
import type { Binary } from "../binary/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxMap } from "../maps/linux-map.ts";
import { addressInProcess } from "./addresses.ts";
import { parseUsdtArguments } from "./arguments.ts";
import type { UsdtPlace } from "./notes.ts";
import { UsdtSlots } from "./slots.ts";
import { encodeUsdtSpec } from "./spec.ts";

/**
 * Fills a slot for each different set of arguments. `slots` has one for each place; `release` gives them back.
 * @throws BpfError `linux/bad-usdt`, `linux/no-space`.
 */
export function writeSpecs(
  context: LinuxContext,
  map: LinuxMap,
  places: readonly UsdtPlace[],
  cookie: bigint,
): { readonly slots: readonly number[]; readonly release: () => void } {
  const pool = context.usdtSlots.get(map) ?? new UsdtSlots(map.spec.maxEntries);
  context.usdtSlots.set(map, pool);
  const slots = new Map<string, number>();
  const release = (): void => pool.release(slots.values());
  const { valueSize, valueType } = map.spec;
  try {
    for (const { args } of places) {
      if (slots.has(args)) continue;
      const parsed = parseUsdtArguments(args, context.sys.libc.arch);
      const spec = encodeUsdtSpec(parsed, cookie, { valueSize, valueType, btf: map.btf });
      const slot = pool.take();
      slots.set(args, slot);
      map.update(u32(slot), spec);
    }
  } catch (error) {
    release();
    throw error;
  }
  return { slots: places.map(({ args }) => slots.get(args) ?? 0), release };
}

/**
 * Without cookies the program finds its slot by the address it was called for. Returns what takes the entry out.
 * @throws BpfError `linux/unsupported` for libraries without a process, `linux/…`.
 */
export function writeAddress(
  map: LinuxMap,
  { path, elf }: Binary,
  place: UsdtPlace,
  pid: number | undefined,
  slot: number,
): () => void {
  if (elf.type === ET_DYN && pid === undefined) {
    throw new BpfError(
      "linux/unsupported",
      `USDT probes of ${path} in all processes need Linux 5.15: where it is loaded differs`,
      { errno: "EOPNOTSUPP", subject: path, hint: "give the pid of the process" },
    );
  }
  const address =
    elf.type === ET_DYN && pid !== undefined
      ? addressInProcess(pid, path, place.offset)
      : BigInt(place.address);
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, address, true);
  map.update(key, u32(slot), "noexist");
  return () => map.delete(key);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** The maps of a program's collection that tell it which probe it runs for. @throws BpfError `linux/no-usdt-maps`. */
export function usdtMaps(
  program: string,
  maps: ReadonlyMap<string, LinuxMap>,
): { readonly specs: LinuxMap; readonly addresses: LinuxMap } {
  const specs = maps.get("__bpf_usdt_specs");
  const addresses = maps.get("__bpf_usdt_ip_to_spec_id");
  if (specs !== undefined && addresses !== undefined) return { specs, addresses };
  throw new BpfError("linux/no-usdt-maps", `program '${program}' has no maps for USDT probes`, {
    errno: "ESRCH",
    subject: program,
    hint: "include <bpf/usdt.bpf.h> in the program, which declares them",
  });
}
