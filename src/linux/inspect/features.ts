import { existsSync, readFileSync } from "node:fs";
import {
  ATTACH_TYPES,
  type AttachTypeName,
  errnoName,
  HELPERS,
  type HelperName,
  MAP_TYPES,
  type MapTypeName,
  PROGRAM_TYPES,
  type ProgramTypeName,
} from "../../abi/index.ts";
import { type Btf, writeBtf } from "../../btf/index.ts";
import type { FeatureReport, TypeFeature } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { featureNames } from "../load/features.ts";
import { cString, type Fd, missingCapabilities, type Sys } from "../sys/index.ts";

const CAPABILITIES = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"] as const;

const SYSCTLS = [
  "kernel.unprivileged_bpf_disabled",
  "kernel.perf_event_paranoid",
  "kernel.kptr_restrict",
  "kernel.bpf_stats_enabled",
  "net.core.bpf_jit_enable",
  "net.core.bpf_jit_harden",
  "net.core.bpf_jit_kallsyms",
  "net.core.bpf_jit_limit",
] as const;

/** Asks the kernel, with the rights of this process, what it takes: everything is tried by the smallest call. */
export function featureReport(context: LinuxContext): FeatureReport {
  const { sys, facts } = context;
  const missing = missingCapabilities(CAPABILITIES);
  const programTypes = (Object.keys(PROGRAM_TYPES) as ProgramTypeName[]).map((type) =>
    probeProgram(sys, type),
  ); // keys of the table
  return {
    kernel: facts.version,
    arch: sys.libc.arch,
    cpus: context.numCpus,
    capabilities: { held: CAPABILITIES.filter((name) => !missing.includes(name)), missing },
    sysctls: Object.fromEntries(SYSCTLS.map((name) => [name, readSysctl(name)])),
    btf: { vmlinux: existsSync("/sys/kernel/btf/vmlinux"), modules: facts.modules.length },
    programTypes,
    mapTypes: (Object.keys(MAP_TYPES) as MapTypeName[]).map((type) => probeMap(sys, type)), // keys of the table
    features: Object.fromEntries(featureNames().map((name) => [name, facts.has(name)])),
    attach: attachRows(context, programTypes),
    filesystems: [
      place("/sys/fs/bpf", BPF_FS_MAGIC, sys, "mount -t bpf bpf /sys/fs/bpf"),
      place("/sys/kernel/tracing", TRACEFS_MAGIC, sys, "mount -t tracefs tracefs /sys/kernel/tracing"),
    ],
  };
}

/**
 * Helpers that a program of the type may call here: each is called once, with arguments that the verifier does not like; it
 * complains of them, or says that it does not know the helper.
 */
export function helpersOf({ sys }: LinuxContext, type: ProgramTypeName): HelperName[] {
  return (Object.keys(HELPERS) as HelperName[]).filter((name) => {
    const insns = new Uint8Array(16);
    insns[0] = 0x85;
    new DataView(insns.buffer).setInt32(4, HELPERS[name].id, true);
    insns[8] = 0x95;
    const log = new Uint8Array(LOG_BYTES);
    const { result } = loadProbe(sys, type, insns, log);
    if (result >= 0) return true;
    const said = new TextDecoder().decode(log);
    return (
      said.includes("#") && !/unknown func|invalid func|program of this type cannot use helper/.test(said)
    );
  });
}

/** `r0 = 0; exit` */
const RETURN_ZERO = new Uint8Array([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
const LOG_BYTES = 4096;
const BPF_FS_MAGIC = 0xcafe4a11;
const TRACEFS_MAGIC = 0x74726163;

/** Attach types that the smallest program of a type has to name. */
const NEEDS_ATTACH_TYPE: { readonly [Type in ProgramTypeName]?: AttachTypeName } = {
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: "BPF_CGROUP_INET4_BIND",
  BPF_PROG_TYPE_CGROUP_SOCKOPT: "BPF_CGROUP_GETSOCKOPT",
  BPF_PROG_TYPE_SK_LOOKUP: "BPF_SK_LOOKUP",
  BPF_PROG_TYPE_NETFILTER: "BPF_NETFILTER",
  BPF_PROG_TYPE_TRACING: "BPF_TRACE_FENTRY",
  BPF_PROG_TYPE_LSM: "BPF_LSM_MAC",
};
/** Return values that the smallest program of a type may have, where 0 is none of them. */
const RETURNS: { readonly [Type in ProgramTypeName]?: number } = { BPF_PROG_TYPE_SOCK_OPS: 1 };
/** They need something to be loaded for: that the kernel looks for it shows that it knows them. */
const TARGETED: ReadonlySet<ProgramTypeName> = new Set([
  "BPF_PROG_TYPE_TRACING",
  "BPF_PROG_TYPE_LSM",
  "BPF_PROG_TYPE_STRUCT_OPS",
  "BPF_PROG_TYPE_EXT",
]);

function loadProbe(
  sys: Sys,
  type: ProgramTypeName,
  insns: Uint8Array,
  log?: Uint8Array,
): { readonly result: number } {
  const attach = NEEDS_ATTACH_TYPE[type];
  const { result } = sys.tryBpf("BPF_PROG_LOAD", {
    progType: PROGRAM_TYPES[type].id,
    expectedAttachType: attach && ATTACH_TYPES[attach],
    insns,
    insnCnt: insns.length / 8,
    license: LICENSE,
    progFlags: type === "BPF_PROG_TYPE_SYSCALL" ? BPF_F_SLEEPABLE : 0,
    ...(log && { logBuf: log, logSize: log.length, logLevel: 1 }),
  });
  if (result >= 0) sys.call("close", result);
  return { result };
}

const LICENSE = cString("GPL");
const BPF_F_SLEEPABLE = 16;

function probeProgram(sys: Sys, type: ProgramTypeName): TypeFeature<ProgramTypeName> {
  const insns = RETURN_ZERO.slice();
  insns[4] = RETURNS[type] ?? 0;
  const log = new Uint8Array(LOG_BYTES);
  const { result } = loadProbe(sys, type, insns, log);
  const { since } = PROGRAM_TYPES[type];
  if (result >= 0) return { type, since, available: true };
  const errno = errnoName(result) ?? String(result);
  // Without a target the verifier says which is missing; a kernel without the type has no verifier to ask.
  const asked = TARGETED.has(type) && (errno === "ENOTSUPP" || (errno === "EINVAL" && log[0] !== 0));
  return asked ? { type, since, available: true } : { type, since, available: false, errno };
}

function probeMap(sys: Sys, type: MapTypeName): TypeFeature<MapTypeName> {
  const { id, since } = MAP_TYPES[type];
  using inner = type.endsWith("_OF_MAPS")
    ? createProbe(sys, { mapType: 2, keySize: 4, valueSize: 4, maxEntries: 1 })
    : undefined;
  using btf = LOCAL_STORAGE.test(type) ? uploadInts(sys) : undefined;
  const sizes = PROBE_SIZES[type] ?? { keySize: 4, valueSize: 4, maxEntries: 1 };
  const { result } = sys.tryBpf("BPF_MAP_CREATE", {
    mapType: id,
    ...sizes,
    innerMapFd: inner,
    // Made for a struct of the kernel's BTF: this one is none, which only a kernel that looks finds out.
    btfVmlinuxValueTypeId: type === "BPF_MAP_TYPE_STRUCT_OPS" ? 1 : 0,
    ...(btf && { btfFd: btf, btfKeyTypeId: 1, btfValueTypeId: 1 }),
  });
  if (result >= 0) {
    sys.call("close", result);
    return { type, since, available: true };
  }
  const errno = errnoName(result) ?? String(result);
  if (type === "BPF_MAP_TYPE_STRUCT_OPS" && errno === "ENOTSUPP") return { type, since, available: true };
  return { type, since, available: false, errno };
}

const LOCAL_STORAGE = /(SK|INODE|TASK|CGRP)_STORAGE$/;
const PAGE = 4096;
const NO_PREALLOC = 1;
const BPF_F_MMAPABLE = 1 << 10;
const STORAGE = { keySize: 4, valueSize: 4, maxEntries: 0, mapFlags: NO_PREALLOC };

/** What the smallest map of a type is, where it is not four bytes for four bytes. */
const PROBE_SIZES: {
  readonly [Type in MapTypeName]?: {
    readonly keySize: number;
    readonly valueSize: number;
    readonly maxEntries: number;
    readonly mapFlags?: number;
  };
} = {
  BPF_MAP_TYPE_STACK_TRACE: { keySize: 4, valueSize: 8, maxEntries: 1 },
  BPF_MAP_TYPE_LPM_TRIE: { keySize: 8, valueSize: 4, maxEntries: 1, mapFlags: NO_PREALLOC },
  BPF_MAP_TYPE_CGROUP_STORAGE: { keySize: 8, valueSize: 4, maxEntries: 0 },
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: { keySize: 8, valueSize: 4, maxEntries: 0 },
  BPF_MAP_TYPE_QUEUE: { keySize: 0, valueSize: 4, maxEntries: 1 },
  BPF_MAP_TYPE_STACK: { keySize: 0, valueSize: 4, maxEntries: 1 },
  BPF_MAP_TYPE_BLOOM_FILTER: { keySize: 0, valueSize: 4, maxEntries: 1 },
  BPF_MAP_TYPE_RINGBUF: { keySize: 0, valueSize: 0, maxEntries: PAGE },
  BPF_MAP_TYPE_USER_RINGBUF: { keySize: 0, valueSize: 0, maxEntries: PAGE },
  BPF_MAP_TYPE_ARENA: { keySize: 0, valueSize: 0, maxEntries: 1, mapFlags: BPF_F_MMAPABLE },
  BPF_MAP_TYPE_SK_STORAGE: STORAGE,
  BPF_MAP_TYPE_INODE_STORAGE: STORAGE,
  BPF_MAP_TYPE_TASK_STORAGE: STORAGE,
  BPF_MAP_TYPE_CGRP_STORAGE: STORAGE,
};

function createProbe(
  sys: Sys,
  input: {
    readonly mapType: number;
    readonly keySize: number;
    readonly valueSize: number;
    readonly maxEntries: number;
  },
): Fd | undefined {
  const { result } = sys.tryBpf("BPF_MAP_CREATE", input);
  return result < 0 ? undefined : sys.own(result, "probe");
}

/** BTF with `int` as type 1. */
function uploadInts(sys: Sys): Fd | undefined {
  const encoding = { signed: true, char: false, bool: false };
  const btf: Btf = {
    types: [
      { kind: "void", name: "" },
      { kind: "int", name: "int", size: 4, bits: 32, bitOffset: 0, encoding },
    ],
    baseCount: 0,
  };
  const bytes = writeBtf(btf);
  const { result } = sys.tryBpf("BPF_BTF_LOAD", { btf: bytes, btfSize: bytes.length });
  return result < 0 ? undefined : sys.own(result, "probe");
}

function attachRows({ facts }: LinuxContext, types: FeatureReport["programTypes"]): FeatureReport["attach"] {
  const { config } = facts;
  const loads = (type: ProgramTypeName): boolean => types.some((row) => row.type === type && row.available);
  const has = (kind: string, available: boolean, cure: string) =>
    available ? { kind, available } : { kind, available, cure };
  const pmu = (name: string): boolean => existsSync(`/sys/bus/event_source/devices/${name}`);
  const lsm = readText("/sys/kernel/security/lsm");
  const traced = config.CONFIG_FUNCTION_TRACER === "y" || config.CONFIG_DYNAMIC_FTRACE === "y";
  return [
    has("kprobe", pmu("kprobe"), "a kernel with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS"),
    has("uprobe", pmu("uprobe"), "a kernel with CONFIG_UPROBES and CONFIG_UPROBE_EVENTS"),
    has(
      "tracepoint",
      pmu("tracepoint") || existsSync("/sys/kernel/tracing/events"),
      "mount -t tracefs tracefs /sys/kernel/tracing, or a kernel with CONFIG_TRACEPOINTS",
    ),
    has(
      "fentry",
      facts.btf !== undefined && traced && loads("BPF_PROG_TYPE_TRACING"),
      "a kernel with CONFIG_DEBUG_INFO_BTF and CONFIG_FUNCTION_TRACER, whose policy lets tracing programs load",
    ),
    has(
      "lsm",
      loads("BPF_PROG_TYPE_LSM") && (lsm?.split(",").includes("bpf") ?? config.CONFIG_BPF_LSM === "y"),
      "boot with lsm=…,bpf and a kernel with CONFIG_BPF_LSM",
    ),
  ];
}

function place(path: string, magic: number, sys: Sys, cure: string): FeatureReport["filesystems"][number] {
  const buffer = new Uint8Array(120);
  const result = sys.call("statfs", cString(path), buffer);
  const mounted = result >= 0 && Number(new DataView(buffer.buffer).getBigUint64(0, true)) === magic;
  return mounted ? { path, mounted } : { path, mounted, cure };
}

function readSysctl(name: string): number | undefined {
  const text = readText(`/proc/sys/${name.replaceAll(".", "/")}`);
  return text === undefined || text === "" ? undefined : Number(text);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return undefined;
  }
}
