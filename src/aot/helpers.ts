import { type HelperName, helperArgs, helperById, type ProgramTypeName } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import { DIRECT_HELPERS, type DirectHelper, type DirectHelperName } from "../jit/index.ts";
import type { FuncType } from "../wasm/index.ts";

/** Helpers that `assembly/ahead/helpers.ts` has, as `bpf_NAME`. */
const OWN = new Set<HelperName>([
  "get_numa_node_id",
  "map_delete_elem",
  "map_lookup_elem",
  "map_update_elem",
  "skb_pull_data",
  "skb_store_bytes",
  "spin_lock",
  "spin_unlock",
]);

/** Helpers that the host gives, as imports `env.bpf_NAME`: what they do is visible in their arguments alone. */
const FROM_HOST = new Set<HelperName>([
  "clone_redirect",
  "fib_lookup",
  "get_attach_cookie",
  "get_cgroup_classid",
  "get_current_cgroup_id",
  "get_current_comm",
  "get_current_pid_tgid",
  "get_current_uid_gid",
  "get_func_ip",
  "get_hash_recalc",
  "get_ns_current_pid_tgid",
  "get_prandom_u32",
  "get_route_realm",
  "get_socket_cookie",
  "get_socket_uid",
  "jiffies64",
  "ktime_get_boot_ns",
  "ktime_get_coarse_ns",
  "ktime_get_ns",
  "ktime_get_tai_ns",
  "perf_event_output",
  "redirect",
  "redirect_neigh",
  "redirect_peer",
  "send_signal",
  "snprintf",
  "trace_printk",
  "trace_vprintk",
]);
/** Takes as many arguments as it is given. */
const TRACE_PRINTK: HelperName = "trace_printk";
const ALL_ARGS = 5;

/**
 * A helper that compiled programs ask their host for: a function of `assembly/ahead` or an import, with u64 arguments
 * and answer; or one that programs usually call directly.
 */
export type AheadHelper =
  | { readonly id: number; readonly name: string; readonly from: "own" | "host"; readonly args: number }
  | { readonly id: number; readonly name: string; readonly from: "direct"; readonly row: DirectHelper };

/** How a helper is done ahead of time. @throws BpfError `aot/helper` for those that need a kernel around them. */
export function aheadHelper(id: number, type: ProgramTypeName, program: string): AheadHelper {
  const name = helperById(id);
  const row = name !== undefined && name in DIRECT_HELPERS && DIRECT_HELPERS[name as DirectHelperName];
  if (name !== undefined && (OWN.has(name) || FROM_HOST.has(name))) {
    const args = name === TRACE_PRINTK ? ALL_ARGS : helperArgs(name, type).length;
    return { id, name: `bpf_${name}`, from: OWN.has(name) ? "own" : "host", args };
  }
  if (row) return { id, name: row.name, from: "direct", row };
  throw new BpfError(
    "aot/helper",
    `prog '${program}': helper bpf_${name ?? `#${id}`} is not available ahead of time`,
    {
      subject: program,
      hint: "run the program in the embedded kernel (skep run), or leave it out with --prog",
    },
  );
}

/** Helpers that a standalone module may import from its host, by name (`bpf_…`), sorted. */
export const HOST_HELPERS: readonly string[] = [...FROM_HOST].map((name) => `bpf_${name}`).sort();

/** Type of a helper as a wasm function. */
export function helperType(args: number): FuncType {
  return { params: Array.from({ length: args }, () => "i64" as const), results: ["i64"] };
}
