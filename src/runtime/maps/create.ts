import { errnoName, MAP_TYPES, type MapTypeName } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { MapSpec } from "../../object/index.ts";
import { MAP_FIELDS, MAP_ID, MAP_NATIVE } from "../layout.ts";
import { ArrayMap, PercpuArrayMap } from "./array.ts";
import type { MapBase, MapParts } from "./base.ts";
import { BloomFilterMap } from "./bloom-filter.ts";
import { HashMap, PercpuHashMap } from "./hash.ts";
import { LpmTrieMap } from "./lpm-trie.ts";
import { LruHashMap, LruPercpuHashMap } from "./lru-hash.ts";
import type { CreateMapOptions, EmbeddedMap, SpecialField } from "./map.ts";
import { isErrno, type MapExports, type MapModule } from "./map-exports.ts";
import { QueueStackMap } from "./queue-stack.ts";
import { RingBufferMap, UserRingBufferMap } from "./ring-buffer.ts";
import { FIELD_CODES, specialFields } from "./special-fields.ts";

/** How a kind comes to be. */
interface MapKind {
  /** Address of the header, or -errno: `map_alloc_check` and `map_alloc` of the kind. */
  readonly allocate: (wasm: MapExports, spec: MapSpec, options: CreateMapOptions) => number;
  readonly make: (parts: MapParts, options: CreateMapOptions) => MapBase;
}

/** Kinds whose storage is in wasm. */
function native(make: (parts: MapParts) => MapBase): MapKind {
  return {
    allocate: (wasm, spec, options) =>
      wasm.mapCreate(
        MAP_TYPES[spec.type].id,
        spec.keySize,
        spec.valueSize,
        spec.maxEntries,
        spec.flags,
        BigInt.asUintN(64, spec.mapExtra),
        options.numCpus,
      ),
    make,
  };
}

/** Behaviour of every map type of `abi/`. */
const MAP_KINDS: Partial<Record<MapTypeName, MapKind>> = {
  BPF_MAP_TYPE_HASH: native((parts) => new HashMap(parts)),
  BPF_MAP_TYPE_ARRAY: native((parts) => new ArrayMap(parts)),
  BPF_MAP_TYPE_PERCPU_HASH: native((parts) => new PercpuHashMap(parts)),
  BPF_MAP_TYPE_PERCPU_ARRAY: native((parts) => new PercpuArrayMap(parts)),
  BPF_MAP_TYPE_LRU_HASH: native((parts) => new LruHashMap(parts)),
  BPF_MAP_TYPE_LRU_PERCPU_HASH: native((parts) => new LruPercpuHashMap(parts)),
  BPF_MAP_TYPE_LPM_TRIE: native((parts) => new LpmTrieMap(parts)),
  BPF_MAP_TYPE_QUEUE: native((parts) => new QueueStackMap(parts)),
  BPF_MAP_TYPE_STACK: native((parts) => new QueueStackMap(parts)),
  BPF_MAP_TYPE_RINGBUF: native((parts) => new RingBufferMap(parts)),
  BPF_MAP_TYPE_BLOOM_FILTER: native((parts) => new BloomFilterMap(parts)),
  BPF_MAP_TYPE_USER_RINGBUF: native((parts) => new UserRingBufferMap(parts)),
};

/**
 * Creates a map in the module's linear memory: BPF_MAP_CREATE, then the globals' initial data.
 * @throws BpfError `runtime/map-create` with the kernel's `errno` (EINVAL, E2BIG, ENOMEM, ENOTSUPP …).
 */
export function createMap(module: MapModule, spec: MapSpec, options: CreateMapOptions): EmbeddedMap {
  const kind = MAP_KINDS[spec.type];
  if (kind === undefined) throw createError(spec, -22);
  checkNumbers(spec, options);
  const address = kind.allocate(module.exports, spec, options);
  if (isErrno(address)) throw createError(spec, address);
  const fields = specialFields(options.btf, spec.valueType, spec.valueSize);
  const at = address >>> 0;
  if (!writeHeader(module, at, options.id, fields)) {
    module.exports.mapDestroy(at);
    throw createError(spec, -12);
  }
  const map = kind.make(
    {
      spec,
      id: options.id,
      address: at,
      module,
      numCpus: options.numCpus,
      btf: options.btf,
      fields,
      onFree: options.onFree,
    },
    options,
  );
  if (spec.data !== undefined) initialise(map, spec.data);
  return map;
}

/** Sizes and counts must be u32: they go to wasm as they are. */
function checkNumbers(spec: MapSpec, options: CreateMapOptions): void {
  const numbers = [spec.keySize, spec.valueSize, spec.maxEntries, spec.flags, options.id];
  const fit = numbers.every((number) => Number.isInteger(number) && number >= 0 && number <= 0xffffffff);
  if (!fit || !(options.numCpus >= 1 && options.numCpus <= 8192)) throw createError(spec, -22);
}

/** Id and table of special fields; values with timers or kptrs are the host's business. False: no memory. */
function writeHeader(module: MapModule, map: number, id: number, fields: readonly SpecialField[]): boolean {
  module.memory.view.setUint32(map + MAP_ID, id, true);
  if (fields.length === 0) return true;
  const table = module.exports.alloc(4 + 12 * fields.length) >>> 0;
  if (table === 0) return false;
  const { view } = module.memory;
  view.setUint32(table, fields.length, true);
  for (const [i, field] of fields.entries()) {
    view.setUint32(table + 4 + 12 * i, field.offset, true);
    view.setUint32(table + 8 + 12 * i, field.size, true);
    view.setUint32(table + 12 + 12 * i, FIELD_CODES[field.kind], true);
  }
  view.setUint32(map + MAP_FIELDS, table, true);
  if (fields.some((field) => field.kind !== "spin-lock")) view.setUint32(map + MAP_NATIVE, 0, true);
  return true;
}

function initialise(map: MapBase, data: Uint8Array): void {
  if (!(map instanceof ArrayMap) || data.length > map.spec.valueSize) {
    map.close();
    throw createError(map.spec, -22, "initial data does not fit the map");
  }
  map.initialise(data);
}

const CREATE_HINTS: Partial<Record<string, string>> = {
  EINVAL: "key size, value size, max_entries, flags or map_extra are not what this kind of map takes",
  E2BIG: "the map is larger than Linux allows; lower max_entries or the value size",
  ENOMEM: "the embedded kernel's memory limit is reached; lower max_entries or raise the limit",
  ENOTSUPP: "this combination of flags is not supported by the kernel; LRU maps are always preallocated",
};

function createError(spec: MapSpec, errno: number, detail?: string): BpfError {
  const name = errnoName(-errno) ?? String(errno);
  const hint = CREATE_HINTS[name];
  const facts = `key ${spec.keySize}, value ${spec.valueSize}, max_entries ${spec.maxEntries}, flags ${spec.flags}`;
  return new BpfError(
    "runtime/map-create",
    `map '${spec.name}' (${spec.type}; ${facts}): ${detail === undefined ? "" : `${detail}: `}${name}`,
    { errno: name, subject: spec.name, ...(hint === undefined ? {} : { hint }) },
  );
}
