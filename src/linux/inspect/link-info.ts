// One table: types of links, and where `struct bpf_link_info` says what each is attached to.
import { readdirSync, readFileSync } from "node:fs";
import { ATTACH_TYPES, type AttachTypeName } from "../../abi/index.ts";
import type { LinkInfo } from "../../object/index.ts";
import { fixedText, knownInfo } from "../object-info.ts";
import type { Fd, Sys } from "../sys/index.ts";

type Form = "u32" | "s32" | "u64";

interface LinkRow {
  readonly name: string;
  /** Offset and form, by the kernel's own name. */
  readonly fields?: Readonly<Record<string, readonly [at: number, form: Form]>>;
  /** Where the address and the length of a buffer for a name go. */
  readonly text?: { readonly name: string; readonly at: number; readonly length: number };
  readonly attachType?: number;
  readonly target: (details: LinkInfo["details"]) => string;
}

const IFINDEX = { ifindex: [16, "u32"] } as const;
const interfaceOf = ({ ifindex }: LinkInfo["details"]): string => interfaceName(Number(ifindex));

/** `enum bpf_link_type` and the union in `struct bpf_link_info` of include/uapi/linux/bpf.h @ v6.12, by number. */
const LINK_ROWS: Readonly<Record<number, LinkRow>> = {
  1: {
    name: "raw_tracepoint",
    text: { name: "tp_name", at: 16, length: 24 },
    target: ({ tp_name }) => `${tp_name}`,
  },
  2: {
    name: "tracing",
    fields: { target_obj_id: [20, "u32"], target_btf_id: [24, "u32"] },
    attachType: 16,
    target: ({ target_obj_id, target_btf_id }) => `object ${target_obj_id} type ${target_btf_id}`,
  },
  3: {
    name: "cgroup",
    fields: { cgroup_id: [16, "u64"] },
    attachType: 24,
    target: ({ cgroup_id }) => `cgroup ${cgroup_id}`,
  },
  4: {
    name: "iter",
    text: { name: "target_name", at: 16, length: 24 },
    target: ({ target_name }) => `${target_name}`,
  },
  5: {
    name: "netns",
    fields: { netns_ino: [16, "u32"] },
    attachType: 20,
    target: ({ netns_ino }) => `netns ${netns_ino}`,
  },
  6: { name: "xdp", fields: IFINDEX, target: interfaceOf },
  7: { name: "perf_event", fields: { type: [16, "u32"] }, target: () => "perf event" },
  8: {
    name: "kprobe_multi",
    fields: { func_cnt: [24, "u32"], flags: [28, "u32"], missed: [32, "u64"] },
    target: ({ func_cnt }) => `${func_cnt} functions`,
  },
  9: { name: "struct_ops", fields: { map_id: [16, "u32"] }, target: ({ map_id }) => `map ${map_id}` },
  10: {
    name: "netfilter",
    fields: { pf: [16, "u32"], hooknum: [20, "u32"], priority: [24, "s32"], flags: [28, "u32"] },
    target: ({ pf, hooknum, priority }) =>
      `${pf === 10 ? "ipv6" : "ipv4"} ${HOOKS[Number(hooknum)] ?? hooknum} priority ${priority}`,
  },
  11: { name: "tcx", fields: IFINDEX, attachType: 20, target: interfaceOf },
  12: {
    name: "uprobe_multi",
    text: { name: "path", at: 16, length: 48 },
    fields: { func_cnt: [52, "u32"], flags: [56, "u32"], pid: [60, "u32"] },
    target: ({ path, func_cnt }) => `${path}, ${func_cnt} places`,
  },
  13: { name: "netkit", fields: IFINDEX, attachType: 20, target: interfaceOf },
  14: {
    name: "sockmap",
    fields: { map_id: [16, "u32"] },
    attachType: 20,
    target: ({ map_id }) => `map ${map_id}`,
  },
};

/** `enum bpf_perf_event_type`: what a perf_event link is attached to. */
const PERF_ROWS: Readonly<Record<number, LinkRow>> = {
  1: uprobeRow("uprobe"),
  2: uprobeRow("uretprobe"),
  3: kprobeRow("kprobe"),
  4: kprobeRow("kretprobe"),
  5: {
    name: "tracepoint",
    text: { name: "tp_name", at: 24, length: 32 },
    fields: { cookie: [40, "u64"] },
    target: ({ tp_name }) => `tracepoint ${tp_name}`,
  },
  6: {
    name: "event",
    fields: { config: [24, "u64"], event_type: [32, "u32"], cookie: [40, "u64"] },
    target: ({ event_type, config }) => `event ${EVENTS[Number(event_type)] ?? event_type}/${config}`,
  },
};

const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"];
const EVENTS = ["hardware", "software", "tracepoint", "hw-cache", "raw", "breakpoint"];
const SIZE = 128;
const PERF_EVENT = 7;
/** Longest name that is asked for; paths may be this long. */
const TEXT_BYTES = 4096;

function uprobeRow(name: string): LinkRow {
  return {
    name,
    text: { name: "file_name", at: 24, length: 32 },
    fields: { offset: [36, "u32"], cookie: [40, "u64"] },
    target: ({ file_name, offset }) => `${name} ${file_name}+0x${offset.toString(16)}`,
  };
}

function kprobeRow(name: string): LinkRow {
  return {
    name,
    text: { name: "func_name", at: 24, length: 32 },
    fields: { offset: [36, "u32"], addr: [40, "u64"], missed: [48, "u64"] },
    target: ({ func_name, offset }) => `${name} ${func_name}${offset ? `+0x${offset.toString(16)}` : ""}`,
  };
}

/** What the kernel says of a link. */
export function linkInfo(sys: Sys, fd: Fd): LinkInfo {
  const plain = knownInfo(sys, fd, SIZE);
  const typeId = plain.getUint32(0, true);
  const row = LINK_ROWS[typeId];
  const facts = { id: plain.getUint32(4, true), programId: plain.getUint32(8, true) };
  if (row === undefined) {
    return { ...facts, type: `type ${typeId}`, attachType: undefined, target: "", details: {} };
  }
  const inner = typeId === PERF_EVENT ? PERF_ROWS[plain.getUint32(16, true)] : undefined;
  const from = inner ?? row;
  const details = read(plain, from);
  const named = from.text && readText(sys, fd, from.text);
  if (from.text !== undefined && named !== undefined) details[from.text.name] = named;
  if (inner !== undefined) details.event = inner.name;
  const attach = row.attachType === undefined ? undefined : plain.getUint32(row.attachType, true);
  return {
    ...facts,
    type: row.name,
    attachType: attach === undefined ? undefined : attachTypeById(attach),
    target: from.target(details),
    details,
  };
}

function read(info: DataView, row: LinkRow): Record<string, string | number | bigint> {
  const details: Record<string, string | number | bigint> = {};
  for (const [name, [at, form]] of Object.entries(row.fields ?? {})) {
    if (form === "u64") details[name] = info.getBigUint64(at, true);
    else details[name] = form === "s32" ? info.getInt32(at, true) : info.getUint32(at, true);
  }
  return details;
}

/** Names come back through a buffer of ours; before Linux 6.6 most kinds have none to give. */
function readText(
  sys: Sys,
  fd: Fd,
  { at, length }: { readonly at: number; readonly length: number },
): string {
  const text = new Uint8Array(TEXT_BYTES);
  const info = new Uint8Array(SIZE);
  const view = new DataView(info.buffer);
  view.setBigUint64(at, sys.libc.addressOf(text), true);
  view.setUint32(length, text.length, true);
  sys.tryBpf("BPF_OBJ_GET_INFO_BY_FD", { bpfFd: fd, infoLen: SIZE, info });
  return fixedText(new DataView(text.buffer), 0, text.length) || "?";
}

function attachTypeById(id: number): AttachTypeName | undefined {
  return (Object.keys(ATTACH_TYPES) as AttachTypeName[]).find((name) => ATTACH_TYPES[name] === id); // keys of the table
}

/** Name of an interface in this network namespace; `"interface 7"` for one of another. */
function interfaceName(index: number): string {
  if (index === 0) return "(interface is gone)";
  try {
    for (const name of readdirSync("/sys/class/net")) {
      if (Number(readFileSync(`/sys/class/net/${name}/ifindex`, "latin1")) === index) return name;
    }
  } catch {
    // Without sysfs the number has to do.
  }
  return `interface ${index}`;
}
