// One table: what kernels since 5.10 may or may not have, and the smallest call that shows it.
import { ATTACH_TYPES, PROGRAM_TYPES } from "../../abi/index.ts";
import { type Btf, type BtfType, writeBtf } from "../../btf/index.ts";
import { cString, type Sys } from "../sys/index.ts";

/** Names of probed features. */
export type FeatureName = keyof typeof PROBES;

type Probe = (sys: Sys) => boolean;

const INT: BtfType = {
  kind: "int",
  name: "int",
  size: 4,
  bits: 32,
  bitOffset: 0,
  encoding: { signed: true, char: false, bool: false },
};

const VOID_PROTO: BtfType = { kind: "func_proto", name: "", type: 0, params: [] };

/** BTF that holds `int` (id 1) and these types loads. */
function btfLoads(...types: readonly BtfType[]): Probe {
  return (sys) => {
    const btf: Btf = { types: [{ kind: "void", name: "" }, INT, ...types], baseCount: 0 };
    const bytes = writeBtf(btf);
    return opens(sys, sys.tryBpf("BPF_BTF_LOAD", { btf: bytes, btfSize: bytes.length }).result);
  };
}

/** Closes a descriptor that was only made to see whether it can be. */
function opens(sys: Sys, result: number): boolean {
  if (result < 0) return false;
  sys.call("close", result);
  return true;
}

/** `r0 = 0; exit` */
const RETURN_ZERO = new Uint8Array([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
const LICENSE = cString("GPL");
const EBADF = -9;

/** A link for a program or target that does not exist: a kernel that knows the kind of link looks for them first. */
function linkKnown(type: keyof typeof PROGRAM_TYPES, attach: keyof typeof ATTACH_TYPES): Probe {
  return (sys) => {
    const program = sys.tryBpf("BPF_PROG_LOAD", {
      progType: PROGRAM_TYPES[type].id,
      expectedAttachType: ATTACH_TYPES[attach],
      insns: RETURN_ZERO,
      insnCnt: 2,
      license: LICENSE,
    }).result;
    if (program < 0) return false;
    const { result } = sys.tryBpf("BPF_LINK_CREATE", {
      progFd: program,
      target: -1,
      attachType: ATTACH_TYPES[attach],
    });
    sys.call("close", program);
    return result === EBADF || result >= 0;
  };
}

const PROBES = {
  btf: btfLoads(),
  "btf-func": btfLoads(VOID_PROTO, { kind: "func", name: "f", type: 2, linkage: "static" }),
  "btf-func-global": btfLoads(VOID_PROTO, { kind: "func", name: "f", type: 2, linkage: "global" }),
  "btf-datasec": btfLoads(
    { kind: "var", name: "x", type: 1, linkage: "static" },
    { kind: "datasec", name: ".data", size: 4, vars: [{ type: 2, offset: 0, size: 4 }] },
  ),
  /** Linux 5.13. */
  "btf-float": btfLoads({ kind: "float", name: "float", size: 4 }),
  /** Linux 5.16. */
  "btf-decl-tag": btfLoads(
    { kind: "var", name: "x", type: 1, linkage: "static" },
    { kind: "decl_tag", name: "tag", type: 2, componentIndex: -1, kindFlag: false },
  ),
  /** Linux 5.17. */
  "btf-type-tag": btfLoads(
    { kind: "type_tag", name: "tag", type: 1, kindFlag: false },
    { kind: "ptr", name: "", type: 2 },
  ),
  /** Linux 6.0. */
  "btf-enum64": btfLoads({
    kind: "enum64",
    name: "e",
    size: 8,
    signed: false,
    values: [{ name: "A", value: 1n }],
  }),
  /** Linux 5.15: bpf_get_attach_cookie, and perf events through links. */
  "bpf-cookie": linkKnown("BPF_PROG_TYPE_TRACEPOINT", "BPF_PERF_EVENT"),
  /** Linux 6.6. */
  "uprobe-multi": (sys) => {
    const program = sys.tryBpf("BPF_PROG_LOAD", {
      progType: PROGRAM_TYPES.BPF_PROG_TYPE_KPROBE.id,
      expectedAttachType: ATTACH_TYPES.BPF_TRACE_UPROBE_MULTI,
      insns: RETURN_ZERO,
      insnCnt: 2,
      license: LICENSE,
    }).result;
    if (program < 0) return false;
    const link = sys.tryBpf("BPF_LINK_CREATE", {
      progFd: program,
      target: -1,
      attachType: ATTACH_TYPES.BPF_TRACE_UPROBE_MULTI,
      uprobePath: cString("/"),
      uprobeOffsets: new Uint8Array(8),
      uprobeCount: 1,
    }).result;
    sys.call("close", program);
    return link === EBADF;
  },
  /** Linux 5.11: maps and programs count against the memory cgroup instead of RLIMIT_MEMLOCK. */
  "memcg-accounting": (sys) => {
    // bpf_ktime_get_coarse_ns came with it.
    const insns = new Uint8Array([0x85, 0, 0, 0, 160, 0, 0, 0, ...RETURN_ZERO.subarray(8)]);
    return opens(
      sys,
      sys.tryBpf("BPF_PROG_LOAD", {
        progType: PROGRAM_TYPES.BPF_PROG_TYPE_SOCKET_FILTER.id,
        insns,
        insnCnt: 2,
        license: LICENSE,
      }).result,
    );
  },
} as const satisfies Record<string, Probe>;

/** Asks the kernel; see {@link FeatureName}. */
export function probeFeature(sys: Sys, feature: FeatureName): boolean {
  return PROBES[feature](sys);
}

/** Every feature there is a probe for. */
export function featureNames(): readonly FeatureName[] {
  return Object.keys(PROBES) as FeatureName[]; // keys of the table
}
