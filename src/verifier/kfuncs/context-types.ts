import type { ProgramTypeName } from "../../abi/index.ts";
import type { Btf } from "../../btf/index.ts";
import { isStruct, skipModifiers, typeName } from "../access/btf-walk.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";

interface ContextNames {
  /** What programs see; a typedef for probes. */
  readonly program: string;
  /** What the kernel has in its place; `""`: no structure. */
  readonly kernel: string;
}

const SKB: ContextNames = { program: "__sk_buff", kernel: "sk_buff" };
const RAW_TRACEPOINT: ContextNames = { program: "bpf_raw_tracepoint_args", kernel: "" };

/** Context structures by program type, where they have names. @see include/linux/bpf_types.h @ v6.18 */
const CONTEXTS: Readonly<Partial<Record<ProgramTypeName, ContextNames>>> = {
  BPF_PROG_TYPE_SOCKET_FILTER: SKB,
  BPF_PROG_TYPE_SCHED_CLS: SKB,
  BPF_PROG_TYPE_SCHED_ACT: SKB,
  BPF_PROG_TYPE_XDP: { program: "xdp_md", kernel: "xdp_buff" },
  BPF_PROG_TYPE_CGROUP_SKB: SKB,
  BPF_PROG_TYPE_CGROUP_SOCK: { program: "bpf_sock", kernel: "sock" },
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: { program: "bpf_sock_addr", kernel: "bpf_sock_addr_kern" },
  BPF_PROG_TYPE_LWT_IN: SKB,
  BPF_PROG_TYPE_LWT_OUT: SKB,
  BPF_PROG_TYPE_LWT_XMIT: SKB,
  BPF_PROG_TYPE_LWT_SEG6LOCAL: SKB,
  BPF_PROG_TYPE_SOCK_OPS: { program: "bpf_sock_ops", kernel: "bpf_sock_ops_kern" },
  BPF_PROG_TYPE_SK_SKB: SKB,
  BPF_PROG_TYPE_SK_MSG: { program: "sk_msg_md", kernel: "sk_msg" },
  BPF_PROG_TYPE_FLOW_DISSECTOR: { program: "__sk_buff", kernel: "bpf_flow_dissector" },
  BPF_PROG_TYPE_KPROBE: { program: "bpf_user_pt_regs_t", kernel: "pt_regs" },
  BPF_PROG_TYPE_PERF_EVENT: { program: "bpf_perf_event_data", kernel: "bpf_perf_event_data_kern" },
  BPF_PROG_TYPE_RAW_TRACEPOINT: RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: RAW_TRACEPOINT,
  BPF_PROG_TYPE_CGROUP_DEVICE: { program: "bpf_cgroup_dev_ctx", kernel: "bpf_cgroup_dev_ctx" },
  BPF_PROG_TYPE_CGROUP_SYSCTL: { program: "bpf_sysctl", kernel: "bpf_sysctl_kern" },
  BPF_PROG_TYPE_CGROUP_SOCKOPT: { program: "bpf_sockopt", kernel: "bpf_sockopt_kern" },
  BPF_PROG_TYPE_SK_REUSEPORT: { program: "sk_reuseport_md", kernel: "sk_reuseport_kern" },
  BPF_PROG_TYPE_SK_LOOKUP: { program: "bpf_sk_lookup", kernel: "bpf_sk_lookup_kern" },
  BPF_PROG_TYPE_NETFILTER: { program: "bpf_nf_ctx", kernel: "bpf_nf_ctx" },
};

/** Structures that the kernel hands out in place of a program's view of them. `btf_is_projection_of` */
export function isProjection(program: string, kernel: string): boolean {
  return (program === "__sk_buff" && kernel === "sk_buff") || (program === "xdp_md" && kernel === "xdp_buff");
}

/** The pointer type `pointer` points to a program type's context. `btf_is_prog_ctx_type` @ v6.18 */
export function isContextPointer(btf: Btf, pointer: number, type: ProgramTypeName): boolean {
  const target = btf.types[pointer];
  if (target?.kind !== "ptr") return false;
  if (type === "BPF_PROG_TYPE_KPROBE" && firstTypedef(btf, target.type) === "bpf_user_pt_regs_t") return true;
  const id = skipModifiers(btf, target.type);
  if (!isStruct(btf.types[id])) return false;
  const name = typeName(btf, id);
  const names = CONTEXTS[type];
  if (name === "" || names === undefined) return false;
  if (isProjection(names.program, name) || names.program === name) return true;
  return names.program === "bpf_user_pt_regs_t" && name === "pt_regs"; // x86-64: what the typedef stands for
}

/** Name of the first typedef behind qualifiers only. */
export function firstTypedef(btf: Btf, start: number): string | undefined {
  let type = btf.types[start];
  for (let depth = 0; depth < 32 && type !== undefined; depth++) {
    if (type.kind === "typedef") return type.name;
    if (
      type.kind !== "const" &&
      type.kind !== "volatile" &&
      type.kind !== "restrict" &&
      type.kind !== "type_tag"
    ) {
      return undefined;
    }
    type = btf.types[type.type];
  }
  return undefined;
}

/** BTF id of what the kernel has in place of the context of programs of a type; 0: there is none. `get_kern_ctx_btf_id` */
export function kernelContextId(env: VerifierEnv, type: ProgramTypeName): number {
  const index = env.btfIndexes[BTF_KERNEL];
  const all = index?.find("bpf_ctx_convert", "struct");
  const table = all === undefined ? undefined : index?.btf.types[all];
  if (table?.kind === "struct") {
    const member = table.members.find((each) => each.name === `${type}_kern`);
    if (member !== undefined) return member.type;
  }
  const name = CONTEXTS[type]?.kernel ?? "";
  return (name === "" ? undefined : index?.find(name, "struct")) ?? 0;
}

/** Name of the structure that programs of the type see, typedefs resolved (x86-64); undefined: there is none. */
export function programContextName(type: ProgramTypeName): string | undefined {
  const name = CONTEXTS[type]?.program;
  return name === "bpf_user_pt_regs_t" ? "pt_regs" : name;
}
