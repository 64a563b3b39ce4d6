import { ERRNO, MAP_TYPES, type MapTypeName } from "../../abi/index.ts";
import type { Btf } from "../../btf/index.ts";
import { isMapInMap, kernelMapName, type MapSpec, mapTakesBtf } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { linuxMap } from "../events/index.ts";
import type { LinuxMap } from "../maps/linux-map.ts";
import { type Fd, linuxError } from "../sys/index.ts";
import { openPinned, pinByName } from "./pinned-map.ts";

/** What creating a collection's maps needs. */
export interface MapSurroundings {
  readonly btf: Btf | undefined;
  /** Descriptor of the loaded BTF. */
  readonly btfFd: Fd | undefined;
  /** Maps made before, by name. */
  readonly made: ReadonlyMap<string, LinuxMap>;
}

const PAGE = 4096;

/**
 * Creates a map as its spec says, fills in the bytes of global variables, and pins it if it is to be; one that is pinned
 * already is opened instead.
 * @throws BpfError `linux/…`.
 */
export function createMap(context: LinuxContext, spec: MapSpec, around: MapSurroundings): LinuxMap {
  const wanted = sized(spec, context.numCpus);
  const pinned = spec.pinning === "by-name" ? openPinned(context, wanted) : undefined;
  const fd = pinned ?? createFd(context, wanted, around);
  const map = linuxMap(context, wanted, around.btf, fd);
  if (pinned !== undefined) return map;
  try {
    // The address that an arena has for user space is part of what its programs are compiled to.
    if (spec.type === "BPF_MAP_TYPE_ARENA") map.map();
    if (spec.data !== undefined) fill(map, spec.data);
    if (spec.pinning === "by-name") pinByName(context, map);
    return map;
  } catch (error) {
    map.close();
    throw error;
  }
}

/** Sizes that the number of CPUs or the page size decides, as libbpf does. */
export function sized(map: MapSpec, numCpus: number): MapSpec {
  switch (map.type) {
    case "BPF_MAP_TYPE_PERF_EVENT_ARRAY":
      return {
        ...map,
        keySize: map.keySize || 4,
        valueSize: map.valueSize || 4,
        maxEntries: map.maxEntries || numCpus,
      };
    case "BPF_MAP_TYPE_RINGBUF":
    case "BPF_MAP_TYPE_USER_RINGBUF":
      return { ...map, maxEntries: ringSize(map.maxEntries) };
    default:
      return map;
  }
}

/** A power of two of whole pages; larger ones than there can be stay as they are, for the kernel to refuse. */
function ringSize(bytes: number): number {
  if (bytes === 0) return bytes;
  let size = PAGE;
  while (size < bytes && size < 2 ** 31) size *= 2;
  return Math.max(size, bytes);
}

function createFd(context: LinuxContext, map: MapSpec, around: MapSurroundings): Fd {
  const { sys } = context;
  const what = `map '${map.name}'`;
  let inner: Fd | undefined;
  let ownInner = false;
  if (isMapInMap(map.type)) {
    if (map.inner !== undefined) {
      inner = createFd(context, sized(map.inner, context.numCpus), around);
      ownInner = true;
    } else {
      const first = map.values.find(({ map: name }) => name !== undefined)?.map;
      inner = first === undefined ? undefined : around.made.get(first)?.handle;
    }
  }
  try {
    const typed = around.btfFd !== undefined && mapTakesBtf(map.type) && (map.keyType || map.valueType) !== 0;
    const input = {
      mapType: MAP_TYPES[map.type].id,
      keySize: map.keySize,
      valueSize: map.valueSize,
      maxEntries: map.maxEntries,
      mapFlags: map.flags,
      innerMapFd: inner,
      numaNode: map.numaNode,
      mapName: kernelMapName("", map),
      mapExtra: map.mapExtra,
    };
    const types = { btfFd: around.btfFd, btfKeyTypeId: map.keyType, btfValueTypeId: map.valueType };
    let { result } = sys.tryBpf("BPF_MAP_CREATE", typed ? { ...input, ...types } : input);
    // Some types of map refuse types of keys and values: libbpf goes on without, and so do we.
    if (result < 0 && typed) ({ result } = sys.tryBpf("BPF_MAP_CREATE", input));
    if (result >= 0) return sys.own(result, what);
    throw linuxError(result, {
      doing: `creating ${what} (${map.type}, key ${map.keySize}, value ${map.valueSize}, ${map.maxEntries} entries)`,
      command: "BPF_MAP_CREATE",
      needs: NET_ADMIN.has(map.type) ? ["CAP_BPF", "CAP_NET_ADMIN"] : ["CAP_BPF"],
      subject: map.name,
      ...(map.maxEntries === 0 &&
        result === -ERRNO.EINVAL && {
          hint: `its size is left to the loader: give maxEntries: { "${map.name}": … }`,
        }),
    });
  } finally {
    if (ownInner) inner?.close();
  }
}

/** Map types that want CAP_NET_ADMIN: `map_create` of kernel/bpf/syscall.c @ v6.12. */
const NET_ADMIN: ReadonlySet<MapTypeName> = new Set([
  "BPF_MAP_TYPE_SOCKMAP",
  "BPF_MAP_TYPE_SOCKHASH",
  "BPF_MAP_TYPE_DEVMAP",
  "BPF_MAP_TYPE_DEVMAP_HASH",
  "BPF_MAP_TYPE_XSKMAP",
]);

function fill(map: LinuxMap, data: Uint8Array): void {
  if (map.type === "BPF_MAP_TYPE_ARENA") {
    map.memory().set(data);
    return;
  }
  const value = new Uint8Array(map.spec.valueSize);
  value.set(data.subarray(0, value.length));
  map.update(new Uint8Array(4), value);
}
