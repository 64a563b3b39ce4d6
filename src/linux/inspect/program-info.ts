import { readFileSync } from "node:fs";
import { PROGRAM_TYPES, type ProgramTypeName } from "../../abi/index.ts";
import { toHex } from "../../base/index.ts";
import type { ProgramInfo } from "../../object/index.ts";
import { fixedText, knownInfo } from "../object-info.ts";
import type { Fd, Sys } from "../sys/index.ts";
import type { KernelBtfs } from "./kernel-btfs.ts";
import { fdFacts } from "./owners.ts";

/** Offsets in `struct bpf_prog_info` of include/uapi/linux/bpf.h @ v6.12. */
const AT = {
  type: 0,
  id: 4,
  tag: 8,
  jitedBytes: 16,
  xlatedBytes: 20,
  loadTime: 40,
  uid: 48,
  mapCount: 52,
  mapIds: 56,
  name: 64,
  gpl: 84,
  btfId: 128,
  funcInfoSize: 132,
  funcInfo: 136,
  funcInfoCount: 144,
  runTimeNs: 192,
  runCount: 200,
  recursionMisses: 208,
  verifiedInsns: 216,
} as const;
const SIZE = 232;
const TAG_BYTES = 8;
const NAME_BYTES = 16;
const FUNC_INFO_BYTES = 8;

/** What the kernel says of a program. */
export function programInfo(sys: Sys, fd: Fd, btfs: KernelBtfs): ProgramInfo {
  const plain = knownInfo(sys, fd, SIZE);
  const typeId = plain.getUint32(AT.type, true);
  const mapIds = new Uint32Array(plain.getUint32(AT.mapCount, true));
  const func = new Uint8Array(plain.getUint32(AT.funcInfoCount, true) > 0 ? FUNC_INFO_BYTES : 0);
  const second = new Uint8Array(SIZE);
  const ask = new DataView(second.buffer);
  // The kernel fills arrays that the struct points to.
  if (mapIds.length > 0) {
    ask.setUint32(AT.mapCount, mapIds.length, true);
    ask.setBigUint64(AT.mapIds, sys.libc.addressOf(new Uint8Array(mapIds.buffer)), true);
  }
  if (func.length > 0) {
    ask.setUint32(AT.funcInfoCount, 1, true);
    ask.setUint32(AT.funcInfoSize, FUNC_INFO_BYTES, true);
    ask.setBigUint64(AT.funcInfo, sys.libc.addressOf(func), true);
  }
  sys.tryBpf("BPF_OBJ_GET_INFO_BY_FD", { bpfFd: fd, infoLen: SIZE, info: second });
  const btfId = plain.getUint32(AT.btfId, true);
  const known = fixedText(plain, AT.name, NAME_BYTES);
  return {
    id: plain.getUint32(AT.id, true),
    type: programTypeById(typeId),
    typeId,
    name: wholeName(known, func, btfId, btfs),
    tag: toHex(new Uint8Array(plain.buffer, AT.tag, TAG_BYTES)),
    gplCompatible: (plain.getUint32(AT.gpl, true) & 1) === 1,
    loadedAt: sinceBoot(plain.getBigUint64(AT.loadTime, true)),
    uid: plain.getUint32(AT.uid, true),
    mapIds: [...mapIds],
    btfId,
    xlatedBytes: plain.getUint32(AT.xlatedBytes, true),
    jitedBytes: plain.getUint32(AT.jitedBytes, true),
    memoryBytes: fdFacts(fd).memlock ?? 0,
    verifiedInsns: plain.getUint32(AT.verifiedInsns, true),
    runTimeNs: plain.getBigUint64(AT.runTimeNs, true),
    runCount: plain.getBigUint64(AT.runCount, true),
    recursionMisses: plain.getBigUint64(AT.recursionMisses, true),
  };
}

/** The program type with this number; undefined for newer ones. */
export function programTypeById(id: number): ProgramTypeName | undefined {
  return (Object.keys(PROGRAM_TYPES) as ProgramTypeName[]).find((name) => PROGRAM_TYPES[name].id === id); // keys of the table
}

/** The kernel keeps 15 characters; BTF has the whole name of the program's function. */
function wholeName(known: string, func: Uint8Array, btfId: number, btfs: KernelBtfs): string {
  if (known.length < NAME_BYTES - 1 || func.length === 0) return known;
  const type = new DataView(func.buffer).getUint32(4, true);
  const name = btfs.get(btfId)?.types[type]?.name ?? "";
  return name.startsWith(known) ? name : known;
}

function sinceBoot(ns: bigint): Date {
  const uptime = Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);
  return new Date(Date.now() - uptime * 1000 + Number(ns / 1_000_000n));
}
