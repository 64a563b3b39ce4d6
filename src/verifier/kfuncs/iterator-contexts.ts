// One table: context arguments of BPF iterators that are not what their BTF says.
import { RegType, TypeFlag } from "../register-types.ts";

/** An argument of an iterator program, by its number. */
export interface IteratorArg {
  /** TYPE of the register. */
  readonly type: number;
  /** PTR_TO_BTF_ID: name of the kernel's structure; undefined: a buffer. */
  readonly struct?: string;
}

const OBJECT = RegType.PTR_TO_BTF_ID | TypeFlag.PTR_MAYBE_NULL;
const TRUSTED = OBJECT | TypeFlag.PTR_TRUSTED;
const BUFFER = RegType.PTR_TO_BUF | TypeFlag.PTR_MAYBE_NULL;
const CONST_BUFFER = BUFFER | TypeFlag.MEM_RDONLY;

/**
 * Arguments by target and number; the rest is typed by the BTF of `bpf_iter_<target>`.
 * @see `ctx_arg_info` of the `bpf_iter_reg` structures @ v6.12
 */
export const ITERATOR_ARGS: Readonly<Record<string, Readonly<Record<number, IteratorArg>>>> = {
  task: { 1: { type: TRUSTED, struct: "task_struct" } },
  task_file: { 1: { type: OBJECT, struct: "task_struct" }, 3: { type: OBJECT, struct: "file" } },
  task_vma: { 1: { type: OBJECT, struct: "task_struct" }, 2: { type: OBJECT, struct: "vm_area_struct" } },
  bpf_map: { 1: { type: TRUSTED, struct: "bpf_map" } },
  bpf_map_elem: { 2: { type: CONST_BUFFER }, 3: { type: BUFFER } },
  bpf_prog: { 1: { type: OBJECT, struct: "bpf_prog" } },
  bpf_link: { 1: { type: OBJECT, struct: "bpf_link" } },
  cgroup: { 1: { type: TRUSTED, struct: "cgroup" } },
  ksym: { 1: { type: OBJECT, struct: "kallsym_iter" } },
  tcp: { 1: { type: TRUSTED, struct: "sock_common" } },
  udp: { 1: { type: TRUSTED, struct: "udp_sock" } },
  unix: { 1: { type: OBJECT, struct: "unix_sock" } },
  netlink: { 1: { type: OBJECT, struct: "netlink_sock" } },
  ipv6_route: { 1: { type: OBJECT, struct: "fib6_info" } },
  sockmap: { 2: { type: CONST_BUFFER }, 3: { type: OBJECT, struct: "sock" } },
  bpf_sk_storage_map: { 2: { type: OBJECT, struct: "sock" }, 3: { type: BUFFER } },
  kmem_cache: { 1: { type: OBJECT | TypeFlag.PTR_UNTRUSTED, struct: "kmem_cache" } },
  dmabuf: { 1: { type: OBJECT, struct: "dma_buf" } },
};
