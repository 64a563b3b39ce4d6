import { MAP_TYPES, type MapTypeName } from "../../abi/index.ts";
import type { MapInfo } from "../../object/index.ts";
import { fixedText, knownInfo } from "../object-info.ts";
import type { Fd, Sys } from "../sys/index.ts";
import { fdFacts } from "./owners.ts";

/** Offsets in `struct bpf_map_info` of include/uapi/linux/bpf.h @ v6.12. */
const AT = {
  type: 0,
  id: 4,
  keySize: 8,
  valueSize: 12,
  maxEntries: 16,
  flags: 20,
  name: 24,
  btfId: 64,
  keyType: 68,
  valueType: 72,
  mapExtra: 80,
} as const;
const SIZE = 88;
const NAME_BYTES = 16;

/** What the kernel says of a map. */
export function mapInfo(sys: Sys, fd: Fd): MapInfo {
  const info = knownInfo(sys, fd, SIZE);
  const u32 = (at: number): number => info.getUint32(at, true);
  const { memlock = 0, frozen = 0 } = fdFacts(fd);
  return {
    id: u32(AT.id),
    type: mapTypeById(u32(AT.type)),
    typeId: u32(AT.type),
    name: fixedText(info, AT.name, NAME_BYTES),
    keySize: u32(AT.keySize),
    valueSize: u32(AT.valueSize),
    maxEntries: u32(AT.maxEntries),
    flags: u32(AT.flags),
    mapExtra: info.getBigUint64(AT.mapExtra, true),
    btfId: u32(AT.btfId),
    keyType: u32(AT.keyType),
    valueType: u32(AT.valueType),
    memoryBytes: memlock,
    frozen: frozen !== 0,
  };
}

function mapTypeById(id: number): MapTypeName | undefined {
  return (Object.keys(MAP_TYPES) as MapTypeName[]).find((name) => MAP_TYPES[name].id === id); // keys of the table
}
