// One table: commands of bpf(2), with the fields of `union bpf_attr` that each one reads and writes.

/**
 * How a field is written: `fd` takes a descriptor, `bytes` the address of an array (0 when absent), `name` at most 15
 * characters, zero padded.
 */
export type FieldForm = "u32" | "s32" | "u64" | "fd" | "bytes" | "name";

/** Byte offset in the union, and form. */
export type FieldRow = readonly [at: number, form: FieldForm];

/** One command of bpf(2). */
export interface CommandRow {
  readonly id: number;
  /** First kernel that has it. */
  readonly since: string;
  readonly fields: Readonly<Record<string, FieldRow>>;
  /** Fields that hand it a BPF token (Linux 6.9): the flags that say so, and the descriptor. */
  readonly token?: { readonly flags: string; readonly fd: string };
}

const ELEM = { mapFd: [0, "fd"], key: [8, "bytes"], value: [16, "bytes"], flags: [24, "u64"] } as const;
const BATCH = {
  inBatch: [0, "bytes"],
  outBatch: [8, "bytes"],
  keys: [16, "bytes"],
  values: [24, "bytes"],
  count: [32, "u32"],
  mapFd: [36, "fd"],
  elemFlags: [40, "u64"],
  flags: [48, "u64"],
} as const;
const OBJECT = {
  pathname: [0, "bytes"],
  bpfFd: [8, "fd"],
  fileFlags: [12, "u32"],
  pathFd: [16, "fd"],
} as const;
const ATTACH = {
  /** A descriptor or, for networking attach types, an interface index. */
  target: [0, "fd"],
  attachBpfFd: [4, "fd"],
  attachType: [8, "u32"],
  attachFlags: [12, "u32"],
  replaceBpfFd: [16, "fd"],
  /** A descriptor, or an id with BPF_F_ID. */
  relative: [20, "fd"],
  expectedRevision: [24, "u64"],
} as const;
const BY_ID = { id: [0, "u32"], nextId: [4, "u32"], openFlags: [8, "u32"] } as const;

/** Commands of bpf(2): `enum bpf_cmd` and `union bpf_attr` of include/uapi/linux/bpf.h @ v6.18. */
export const BPF_COMMANDS = {
  BPF_MAP_CREATE: {
    id: 0,
    since: "3.18",
    fields: {
      mapType: [0, "u32"],
      keySize: [4, "u32"],
      valueSize: [8, "u32"],
      maxEntries: [12, "u32"],
      mapFlags: [16, "u32"],
      innerMapFd: [20, "fd"],
      numaNode: [24, "u32"],
      mapName: [28, "name"],
      mapIfindex: [44, "u32"],
      btfFd: [48, "fd"],
      btfKeyTypeId: [52, "u32"],
      btfValueTypeId: [56, "u32"],
      btfVmlinuxValueTypeId: [60, "u32"],
      mapExtra: [64, "u64"],
      valueTypeBtfObjFd: [72, "fd"],
      mapTokenFd: [76, "fd"],
      exclProgHashSize: [80, "u32"],
      exclProgHash: [88, "bytes"],
    },
    token: { flags: "mapFlags", fd: "mapTokenFd" },
  },
  BPF_MAP_LOOKUP_ELEM: { id: 1, since: "3.18", fields: ELEM },
  BPF_MAP_UPDATE_ELEM: { id: 2, since: "3.18", fields: ELEM },
  BPF_MAP_DELETE_ELEM: { id: 3, since: "3.18", fields: ELEM },
  BPF_MAP_GET_NEXT_KEY: {
    id: 4,
    since: "3.18",
    fields: { mapFd: [0, "fd"], key: [8, "bytes"], nextKey: [16, "bytes"] },
  },
  BPF_PROG_LOAD: {
    id: 5,
    since: "3.18",
    fields: {
      progType: [0, "u32"],
      insnCnt: [4, "u32"],
      insns: [8, "bytes"],
      license: [16, "bytes"],
      logLevel: [24, "u32"],
      logSize: [28, "u32"],
      logBuf: [32, "bytes"],
      kernVersion: [40, "u32"],
      progFlags: [44, "u32"],
      progName: [48, "name"],
      progIfindex: [64, "u32"],
      expectedAttachType: [68, "u32"],
      progBtfFd: [72, "fd"],
      funcInfoRecSize: [76, "u32"],
      funcInfo: [80, "bytes"],
      funcInfoCnt: [88, "u32"],
      lineInfoRecSize: [92, "u32"],
      lineInfo: [96, "bytes"],
      lineInfoCnt: [104, "u32"],
      attachBtfId: [108, "u32"],
      /** A program to attach to, or the BTF object that `attachBtfId` counts in. */
      attachTarget: [112, "fd"],
      fdArray: [120, "bytes"],
      logTrueSize: [140, "u32"],
      progTokenFd: [144, "fd"],
      fdArrayCnt: [148, "u32"],
    },
    token: { flags: "progFlags", fd: "progTokenFd" },
  },
  BPF_OBJ_PIN: { id: 6, since: "4.4", fields: OBJECT },
  BPF_OBJ_GET: { id: 7, since: "4.4", fields: OBJECT },
  BPF_PROG_ATTACH: { id: 8, since: "4.10", fields: ATTACH },
  BPF_PROG_DETACH: { id: 9, since: "4.10", fields: ATTACH },
  BPF_PROG_TEST_RUN: {
    id: 10,
    since: "4.12",
    fields: {
      progFd: [0, "fd"],
      retval: [4, "u32"],
      dataSizeIn: [8, "u32"],
      dataSizeOut: [12, "u32"],
      dataIn: [16, "bytes"],
      dataOut: [24, "bytes"],
      repeat: [32, "u32"],
      duration: [36, "u32"],
      ctxSizeIn: [40, "u32"],
      ctxSizeOut: [44, "u32"],
      ctxIn: [48, "bytes"],
      ctxOut: [56, "bytes"],
      flags: [64, "u32"],
      cpu: [68, "u32"],
      batchSize: [72, "u32"],
    },
  },
  BPF_PROG_GET_NEXT_ID: { id: 11, since: "4.13", fields: BY_ID },
  BPF_MAP_GET_NEXT_ID: { id: 12, since: "4.13", fields: BY_ID },
  BPF_PROG_GET_FD_BY_ID: { id: 13, since: "4.13", fields: BY_ID },
  BPF_MAP_GET_FD_BY_ID: { id: 14, since: "4.13", fields: BY_ID },
  BPF_OBJ_GET_INFO_BY_FD: {
    id: 15,
    since: "4.13",
    fields: { bpfFd: [0, "fd"], infoLen: [4, "u32"], info: [8, "bytes"] },
  },
  BPF_PROG_QUERY: {
    id: 16,
    since: "4.16",
    fields: {
      target: [0, "fd"],
      attachType: [4, "u32"],
      queryFlags: [8, "u32"],
      attachFlags: [12, "u32"],
      progIds: [16, "bytes"],
      count: [24, "u32"],
      progAttachFlags: [32, "bytes"],
      linkIds: [40, "bytes"],
      linkAttachFlags: [48, "bytes"],
      revision: [56, "u64"],
    },
  },
  BPF_RAW_TRACEPOINT_OPEN: {
    id: 17,
    since: "4.17",
    fields: { name: [0, "bytes"], progFd: [8, "fd"], cookie: [16, "u64"] },
  },
  BPF_BTF_LOAD: {
    id: 18,
    since: "4.18",
    fields: {
      btf: [0, "bytes"],
      btfLogBuf: [8, "bytes"],
      btfSize: [16, "u32"],
      btfLogSize: [20, "u32"],
      btfLogLevel: [24, "u32"],
      btfLogTrueSize: [28, "u32"],
      btfFlags: [32, "u32"],
      btfTokenFd: [36, "fd"],
    },
    token: { flags: "btfFlags", fd: "btfTokenFd" },
  },
  BPF_BTF_GET_FD_BY_ID: { id: 19, since: "4.18", fields: BY_ID },
  BPF_TASK_FD_QUERY: {
    id: 20,
    since: "4.18",
    fields: {
      pid: [0, "u32"],
      fd: [4, "fd"],
      flags: [8, "u32"],
      bufLen: [12, "u32"],
      buf: [16, "bytes"],
      progId: [24, "u32"],
      fdType: [28, "u32"],
      probeOffset: [32, "u64"],
      probeAddr: [40, "u64"],
    },
  },
  BPF_MAP_LOOKUP_AND_DELETE_ELEM: { id: 21, since: "4.20", fields: ELEM },
  BPF_MAP_FREEZE: { id: 22, since: "5.2", fields: { mapFd: [0, "fd"] } },
  BPF_BTF_GET_NEXT_ID: { id: 23, since: "5.4", fields: BY_ID },
  BPF_MAP_LOOKUP_BATCH: { id: 24, since: "5.6", fields: BATCH },
  BPF_MAP_LOOKUP_AND_DELETE_BATCH: { id: 25, since: "5.6", fields: BATCH },
  BPF_MAP_UPDATE_BATCH: { id: 26, since: "5.6", fields: BATCH },
  BPF_MAP_DELETE_BATCH: { id: 27, since: "5.6", fields: BATCH },
  BPF_LINK_CREATE: {
    id: 28,
    since: "5.7",
    fields: {
      /** The program; for struct_ops the map. */
      progFd: [0, "fd"],
      /** A descriptor or an interface index. */
      target: [4, "fd"],
      attachType: [8, "u32"],
      flags: [12, "u32"],
      targetBtfId: [16, "u32"],
      iterInfo: [16, "bytes"],
      iterInfoLen: [24, "u32"],
      perfCookie: [16, "u64"],
      tracingCookie: [24, "u64"],
      kprobeFlags: [16, "u32"],
      kprobeCount: [20, "u32"],
      kprobeSyms: [24, "bytes"],
      kprobeAddrs: [32, "bytes"],
      kprobeCookies: [40, "bytes"],
      netfilterPf: [16, "u32"],
      netfilterHook: [20, "u32"],
      netfilterPriority: [24, "s32"],
      netfilterFlags: [28, "u32"],
      uprobePath: [16, "bytes"],
      uprobeOffsets: [24, "bytes"],
      uprobeRefCtrOffsets: [32, "bytes"],
      uprobeCookies: [40, "bytes"],
      uprobeCount: [48, "u32"],
      uprobeFlags: [52, "u32"],
      uprobePid: [56, "u32"],
      /** tcx, netkit, cgroup: before or after which one; a descriptor, or an id with BPF_F_ID. */
      relative: [16, "fd"],
      expectedRevision: [24, "u64"],
    },
  },
  BPF_LINK_UPDATE: {
    id: 29,
    since: "5.7",
    fields: { linkFd: [0, "fd"], newFd: [4, "fd"], flags: [8, "u32"], oldFd: [12, "fd"] },
  },
  BPF_LINK_GET_FD_BY_ID: { id: 30, since: "5.8", fields: BY_ID },
  BPF_LINK_GET_NEXT_ID: { id: 31, since: "5.8", fields: BY_ID },
  BPF_ENABLE_STATS: { id: 32, since: "5.8", fields: { type: [0, "u32"] } },
  BPF_ITER_CREATE: { id: 33, since: "5.8", fields: { linkFd: [0, "fd"], flags: [4, "u32"] } },
  BPF_LINK_DETACH: { id: 34, since: "5.9", fields: { linkFd: [0, "fd"] } },
  BPF_PROG_BIND_MAP: {
    id: 35,
    since: "5.10",
    fields: { progFd: [0, "fd"], mapFd: [4, "fd"], flags: [8, "u32"] },
  },
  BPF_TOKEN_CREATE: { id: 36, since: "6.9", fields: { flags: [0, "u32"], bpffsFd: [4, "fd"] } },
  BPF_PROG_STREAM_READ_BY_FD: {
    id: 37,
    since: "6.17",
    fields: { streamBuf: [0, "bytes"], streamBufLen: [8, "u32"], streamId: [12, "u32"], progFd: [16, "fd"] },
  },
} as const satisfies Record<string, CommandRow>;
export type BpfCommand = keyof typeof BPF_COMMANDS;
