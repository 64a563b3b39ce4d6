import { ERRNO, MAP_TYPES } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { MapSpec } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxMap } from "../maps/linux-map.ts";
import { objectInfo } from "../object-info.ts";
import { cString, type Fd, linuxError } from "../sys/index.ts";

const BPF_FS = "/sys/fs/bpf";

/** Where a map with LIBBPF_PIN_BY_NAME lies. */
export function pinPathOf(context: LinuxContext, map: { readonly name: string }): string {
  return `${context.options.pinPath ?? BPF_FS}/${map.name}`;
}

/**
 * The map pinned under the spec's name; undefined when there is none.
 * @throws BpfError `linux/pin-mismatch` when another kind of map lies there.
 */
export function openPinned(context: LinuxContext, map: MapSpec): Fd | undefined {
  const { sys } = context;
  const path = pinPathOf(context, map);
  const { result } = sys.tryBpf("BPF_OBJ_GET", { pathname: cString(path) });
  if (result === -ERRNO.ENOENT) return undefined;
  if (result < 0) {
    throw linuxError(result, {
      doing: `opening the pinned map ${path}`,
      command: "BPF_OBJ_GET",
      subject: map.name,
    });
  }
  const fd = sys.own(result, `map '${map.name}'`);
  const differs = difference(objectInfo(sys, fd, 88), map);
  if (differs === undefined) return fd;
  fd.close();
  throw new BpfError(
    "linux/pin-mismatch",
    `map '${map.name}': ${path} holds a map with other parameters: ${differs}`,
    { subject: map.name, hint: `remove it (rm ${path}) or give another pinPath` },
  );
}

/** Pins a new map under its name. @throws BpfError `linux/…`. */
export function pinByName(context: LinuxContext, map: LinuxMap): void {
  map.pin(pinPathOf(context, map));
}

/** `struct bpf_map_info`: what differs, for people; as `map_is_reuse_compat` of libbpf compares. */
function difference(info: DataView | undefined, map: MapSpec): string | undefined {
  if (info === undefined) return "it is no map";
  const u32 = (offset: number): number => info.getUint32(offset, true);
  const rows: readonly (readonly [what: string, there: number | bigint, wanted: number | bigint])[] = [
    ["type", u32(0), MAP_TYPES[map.type].id],
    ["key size", u32(8), map.keySize],
    ["value size", u32(12), map.valueSize],
    ["max_entries", u32(16), map.maxEntries],
    // Device maps get BPF_F_RDONLY_PROG from the kernel itself.
    ["flags", u32(20) & (map.type.includes("DEVMAP") ? ~(1 << 7) : -1), map.flags],
    ["map_extra", info.getBigUint64(80, true), map.mapExtra],
  ];
  const row = rows.find(([, there, wanted]) => there !== wanted);
  return row && `${row[0]} ${row[1]}, not ${row[2]}`;
}
