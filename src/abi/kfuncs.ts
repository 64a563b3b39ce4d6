// One table: kernel functions that BPF programs may call, with the flags that the kernel registers them with.
import type { ProgramTypeName } from "./program-types.ts";

/** `KF_*` without the prefix. @see include/linux/btf.h @ v6.18 */
export type KfuncFlag =
  /** The result is a reference that has to be released. */
  | "ACQUIRE"
  /** Ends the reference that one of its arguments carries. */
  | "RELEASE"
  /** The result may be null. */
  | "RET_NULL"
  /** Pointers have to be trusted or referenced, and not null. */
  | "TRUSTED_ARGS"
  | "SLEEPABLE"
  /** Needs CAP_SYS_BOOT. */
  | "DESTRUCTIVE"
  /** Pointers may be protected by RCU only. */
  | "RCU"
  | "ITER_NEW"
  | "ITER_NEXT"
  | "ITER_DESTROY"
  /** Only inside of an RCU section. */
  | "RCU_PROTECTED"
  /** Keeps r1–r5 that it takes no arguments in. */
  | "FASTCALL";

/** Groups of program types that share a set of kernel functions. @see kernel/bpf/btf.c `enum btf_kfunc_hook` @ v6.18 */
export type KfuncHook =
  | "COMMON"
  | "XDP"
  | "TC"
  | "STRUCT_OPS"
  | "TRACING"
  | "SYSCALL"
  | "CGROUP"
  | "SCHED_ACT"
  | "SK_SKB"
  | "SOCKET_FILTER"
  | "LWT"
  | "NETFILTER"
  | "KPROBE";

/** What else a program must be to call it: the filters of the sets. */
export type KfuncOnly = "lsm" | "iter" | "kprobe-session" | "sock-addr" | "sock-ops" | "xdp-metadata";

/** A kernel function's facts; its prototype is in the kernel's BTF. */
export interface KfuncRow {
  readonly hooks: readonly KfuncHook[];
  readonly flags: readonly KfuncFlag[];
  readonly only?: KfuncOnly;
}

/** The hook whose functions a program type may call besides those of `COMMON`. @see kernel/bpf/btf.c `bpf_prog_type_to_kfunc_hook` @ v6.18 */
export const KFUNC_HOOKS: Readonly<Partial<Record<ProgramTypeName, KfuncHook>>> = {
  BPF_PROG_TYPE_XDP: "XDP",
  BPF_PROG_TYPE_SCHED_CLS: "TC",
  BPF_PROG_TYPE_STRUCT_OPS: "STRUCT_OPS",
  BPF_PROG_TYPE_TRACING: "TRACING",
  BPF_PROG_TYPE_TRACEPOINT: "TRACING",
  BPF_PROG_TYPE_PERF_EVENT: "TRACING",
  BPF_PROG_TYPE_LSM: "TRACING",
  BPF_PROG_TYPE_SYSCALL: "SYSCALL",
  BPF_PROG_TYPE_CGROUP_SKB: "CGROUP",
  BPF_PROG_TYPE_CGROUP_SOCK: "CGROUP",
  BPF_PROG_TYPE_CGROUP_DEVICE: "CGROUP",
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: "CGROUP",
  BPF_PROG_TYPE_CGROUP_SOCKOPT: "CGROUP",
  BPF_PROG_TYPE_CGROUP_SYSCTL: "CGROUP",
  BPF_PROG_TYPE_SOCK_OPS: "CGROUP",
  BPF_PROG_TYPE_SCHED_ACT: "SCHED_ACT",
  BPF_PROG_TYPE_SK_SKB: "SK_SKB",
  BPF_PROG_TYPE_SOCKET_FILTER: "SOCKET_FILTER",
  BPF_PROG_TYPE_LWT_OUT: "LWT",
  BPF_PROG_TYPE_LWT_IN: "LWT",
  BPF_PROG_TYPE_LWT_XMIT: "LWT",
  BPF_PROG_TYPE_LWT_SEG6LOCAL: "LWT",
  BPF_PROG_TYPE_NETFILTER: "NETFILTER",
  BPF_PROG_TYPE_KPROBE: "KPROBE",
};

/**
 * Flags and hooks by name: `BTF_ID_FLAGS` and `register_btf_kfunc_id_set` of Linux 6.12, and what 6.13 to 6.18 added.
 * Which of them a kernel has depends on its configuration: its BTF says so (declaration tag `bpf_kfunc`).
 */
// biome-ignore format: one kernel function a line.
export const KFUNCS = {
  // helpers.c common
  bpf_cast_to_kern_ctx: { hooks: ["COMMON"], flags: ["FASTCALL"] },
  bpf_rdonly_cast: { hooks: ["COMMON"], flags: ["FASTCALL"] },
  bpf_rcu_read_lock: { hooks: ["COMMON"], flags: [] },
  bpf_rcu_read_unlock: { hooks: ["COMMON"], flags: [] },
  bpf_dynptr_slice: { hooks: ["COMMON"], flags: ["RET_NULL"] },
  bpf_dynptr_slice_rdwr: { hooks: ["COMMON"], flags: ["RET_NULL"] },
  bpf_iter_num_new: { hooks: ["COMMON"], flags: ["ITER_NEW"] },
  bpf_iter_num_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL"] },
  bpf_iter_num_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY"] },
  bpf_iter_task_vma_new: { hooks: ["COMMON"], flags: ["ITER_NEW", "RCU"] },
  bpf_iter_task_vma_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL"] },
  bpf_iter_task_vma_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY"] },
  bpf_iter_css_task_new: { hooks: ["COMMON"], flags: ["ITER_NEW", "TRUSTED_ARGS"] },
  bpf_iter_css_task_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL"] },
  bpf_iter_css_task_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY"] },
  bpf_iter_css_new: { hooks: ["COMMON"], flags: ["ITER_NEW", "RCU_PROTECTED", "TRUSTED_ARGS"] },
  bpf_iter_css_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL"] },
  bpf_iter_css_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY"] },
  bpf_iter_task_new: { hooks: ["COMMON"], flags: ["ITER_NEW", "RCU_PROTECTED", "TRUSTED_ARGS"] },
  bpf_iter_task_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL"] },
  bpf_iter_task_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY"] },
  bpf_dynptr_adjust: { hooks: ["COMMON"], flags: [] },
  bpf_dynptr_is_null: { hooks: ["COMMON"], flags: [] },
  bpf_dynptr_is_rdonly: { hooks: ["COMMON"], flags: [] },
  bpf_dynptr_size: { hooks: ["COMMON"], flags: [] },
  bpf_dynptr_clone: { hooks: ["COMMON"], flags: [] },
  bpf_modify_return_test_tp: { hooks: ["COMMON"], flags: [] },
  bpf_wq_init: { hooks: ["COMMON"], flags: [] },
  bpf_wq_set_callback_impl: { hooks: ["COMMON"], flags: [] },
  bpf_wq_start: { hooks: ["COMMON"], flags: [] },
  bpf_preempt_disable: { hooks: ["COMMON"], flags: [] },
  bpf_preempt_enable: { hooks: ["COMMON"], flags: [] },
  bpf_iter_bits_new: { hooks: ["COMMON"], flags: ["ITER_NEW"] },
  bpf_iter_bits_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL"] },
  bpf_iter_bits_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY"] },
  bpf_copy_from_user_str: { hooks: ["COMMON"], flags: ["SLEEPABLE"] },
  bpf_dynptr_copy: { hooks: ["COMMON"], flags: [] },
  bpf_dynptr_memset: { hooks: ["COMMON"], flags: [] },
  bpf_copy_from_user_task_str: { hooks: ["COMMON"], flags: ["SLEEPABLE"] },
  bpf_get_kmem_cache: { hooks: ["COMMON"], flags: [] },
  bpf_iter_kmem_cache_new: { hooks: ["COMMON"], flags: ["ITER_NEW", "SLEEPABLE"] },
  bpf_iter_kmem_cache_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL", "SLEEPABLE"] },
  bpf_iter_kmem_cache_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY", "SLEEPABLE"] },
  bpf_local_irq_save: { hooks: ["COMMON"], flags: [] },
  bpf_local_irq_restore: { hooks: ["COMMON"], flags: [] },
  bpf_probe_read_user_dynptr: { hooks: ["COMMON"], flags: [] },
  bpf_probe_read_kernel_dynptr: { hooks: ["COMMON"], flags: [] },
  bpf_probe_read_user_str_dynptr: { hooks: ["COMMON"], flags: [] },
  bpf_probe_read_kernel_str_dynptr: { hooks: ["COMMON"], flags: [] },
  bpf_copy_from_user_dynptr: { hooks: ["COMMON"], flags: ["SLEEPABLE"] },
  bpf_copy_from_user_str_dynptr: { hooks: ["COMMON"], flags: ["SLEEPABLE"] },
  bpf_copy_from_user_task_dynptr: { hooks: ["COMMON"], flags: ["SLEEPABLE", "TRUSTED_ARGS"] },
  bpf_copy_from_user_task_str_dynptr: { hooks: ["COMMON"], flags: ["SLEEPABLE", "TRUSTED_ARGS"] },
  bpf_iter_dmabuf_new: { hooks: ["COMMON"], flags: ["ITER_NEW", "SLEEPABLE"] },
  bpf_iter_dmabuf_next: { hooks: ["COMMON"], flags: ["ITER_NEXT", "RET_NULL", "SLEEPABLE"] },
  bpf_iter_dmabuf_destroy: { hooks: ["COMMON"], flags: ["ITER_DESTROY", "SLEEPABLE"] },
  __bpf_trap: { hooks: ["COMMON"], flags: [] },
  bpf_strcmp: { hooks: ["COMMON"], flags: [] },
  bpf_strcasecmp: { hooks: ["COMMON"], flags: [] },
  bpf_strchr: { hooks: ["COMMON"], flags: [] },
  bpf_strchrnul: { hooks: ["COMMON"], flags: [] },
  bpf_strnchr: { hooks: ["COMMON"], flags: [] },
  bpf_strrchr: { hooks: ["COMMON"], flags: [] },
  bpf_strlen: { hooks: ["COMMON"], flags: [] },
  bpf_strnlen: { hooks: ["COMMON"], flags: [] },
  bpf_strspn: { hooks: ["COMMON"], flags: [] },
  bpf_strcspn: { hooks: ["COMMON"], flags: [] },
  bpf_strstr: { hooks: ["COMMON"], flags: [] },
  bpf_strnstr: { hooks: ["COMMON"], flags: [] },
  bpf_cgroup_read_xattr: { hooks: ["COMMON"], flags: ["RCU"] },
  bpf_stream_vprintk_impl: { hooks: ["COMMON"], flags: ["TRUSTED_ARGS"] },
  bpf_task_work_schedule_signal_impl: { hooks: ["COMMON"], flags: ["TRUSTED_ARGS"] },
  bpf_task_work_schedule_resume_impl: { hooks: ["COMMON"], flags: ["TRUSTED_ARGS"] },
  // helpers.c generic
  bpf_obj_new_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_percpu_obj_new_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_obj_drop_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RELEASE"] },
  bpf_percpu_obj_drop_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RELEASE"] },
  bpf_refcount_acquire_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RCU", "RET_NULL"] },
  bpf_list_push_front_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: [] },
  bpf_list_push_back_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: [] },
  bpf_list_pop_front: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_list_pop_back: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  // Kernels with crash dumps only.
  crash_kexec: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["DESTRUCTIVE"] },
  bpf_task_acquire: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RCU", "RET_NULL"] },
  bpf_task_release: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RELEASE"] },
  bpf_rbtree_remove: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_rbtree_add_impl: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: [] },
  bpf_rbtree_first: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RET_NULL"] },
  bpf_cgroup_acquire: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RCU", "RET_NULL"] },
  bpf_cgroup_release: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RELEASE"] },
  bpf_cgroup_ancestor: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RCU", "RET_NULL"] },
  bpf_cgroup_from_id: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_task_under_cgroup: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RCU"] },
  bpf_task_get_cgroup1: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RCU", "RET_NULL"] },
  bpf_task_from_pid: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_throw: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: [] },
  bpf_list_front: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RET_NULL"] },
  bpf_list_back: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RET_NULL"] },
  bpf_rbtree_root: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RET_NULL"] },
  bpf_rbtree_left: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RET_NULL"] },
  bpf_rbtree_right: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RET_NULL"] },
  bpf_task_from_vpid: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_send_signal_task: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["TRUSTED_ARGS"] },
  bpf_lookup_user_key: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL", "SLEEPABLE"] },
  bpf_lookup_system_key: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_key_put: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["RELEASE"] },
  bpf_verify_pkcs7_signature: { hooks: ["TRACING", "TC", "XDP", "STRUCT_OPS", "SYSCALL", "CGROUP"], flags: ["SLEEPABLE"] },
  // arena.c
  bpf_arena_alloc_pages: { hooks: ["COMMON"], flags: ["SLEEPABLE", "TRUSTED_ARGS"] },
  bpf_arena_free_pages: { hooks: ["COMMON"], flags: ["SLEEPABLE", "TRUSTED_ARGS"] },
  bpf_arena_reserve_pages: { hooks: ["COMMON"], flags: ["TRUSTED_ARGS"] },
  // rqspinlock.c
  bpf_res_spin_lock: { hooks: ["COMMON"], flags: ["RET_NULL"] },
  bpf_res_spin_unlock: { hooks: ["COMMON"], flags: [] },
  bpf_res_spin_lock_irqsave: { hooks: ["COMMON"], flags: ["RET_NULL"] },
  bpf_res_spin_unlock_irqrestore: { hooks: ["COMMON"], flags: [] },
  // map_iter.c
  bpf_map_sum_elem_count: { hooks: ["COMMON"], flags: ["TRUSTED_ARGS"] },
  // cpumask.c
  bpf_cpumask_create: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_cpumask_release: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RELEASE"] },
  bpf_cpumask_acquire: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["ACQUIRE", "TRUSTED_ARGS"] },
  bpf_cpumask_first: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_first_zero: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_first_and: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_set_cpu: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_clear_cpu: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_test_cpu: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_test_and_set_cpu: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_test_and_clear_cpu: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_setall: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_clear: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_and: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_or: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_xor: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_equal: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_intersects: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_subset: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_empty: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_full: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_copy: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_any_distribute: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_any_and_distribute: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_weight: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  bpf_cpumask_populate: { hooks: ["TRACING", "STRUCT_OPS", "SYSCALL"], flags: ["RCU"] },
  // crypto.c
  bpf_crypto_decrypt: { hooks: ["TC", "SCHED_ACT", "XDP"], flags: ["RCU"] },
  bpf_crypto_encrypt: { hooks: ["TC", "SCHED_ACT", "XDP"], flags: ["RCU"] },
  // crypto.c init
  bpf_crypto_ctx_create: { hooks: ["SYSCALL"], flags: ["ACQUIRE", "RET_NULL", "SLEEPABLE"] },
  bpf_crypto_ctx_release: { hooks: ["SYSCALL"], flags: ["RELEASE"] },
  bpf_crypto_ctx_acquire: { hooks: ["SYSCALL"], flags: ["ACQUIRE", "RCU", "RET_NULL"] },
  // bpf_trace.c kprobe multi
  bpf_session_is_return: { hooks: ["KPROBE"], flags: [], only: "kprobe-session" },
  bpf_session_cookie: { hooks: ["KPROBE"], flags: [], only: "kprobe-session" },
  // rstat.c
  css_rstat_updated: { hooks: ["TRACING"], flags: [] },
  css_rstat_flush: { hooks: ["TRACING"], flags: ["SLEEPABLE"] },
  // bpf_fs_kfuncs.c
  bpf_get_task_exe_file: { hooks: ["TRACING"], flags: ["ACQUIRE", "RET_NULL", "TRUSTED_ARGS"], only: "lsm" },
  bpf_put_file: { hooks: ["TRACING"], flags: ["RELEASE"], only: "lsm" },
  bpf_path_d_path: { hooks: ["TRACING"], flags: ["TRUSTED_ARGS"], only: "lsm" },
  bpf_get_dentry_xattr: { hooks: ["TRACING"], flags: ["SLEEPABLE", "TRUSTED_ARGS"], only: "lsm" },
  bpf_get_file_xattr: { hooks: ["TRACING"], flags: ["SLEEPABLE", "TRUSTED_ARGS"], only: "lsm" },
  bpf_set_dentry_xattr: { hooks: ["TRACING"], flags: ["SLEEPABLE", "TRUSTED_ARGS"], only: "lsm" },
  bpf_remove_dentry_xattr: { hooks: ["TRACING"], flags: ["SLEEPABLE", "TRUSTED_ARGS"], only: "lsm" },
  // filter.c skb
  bpf_dynptr_from_skb: { hooks: ["TC", "SCHED_ACT", "SK_SKB", "SOCKET_FILTER", "CGROUP", "LWT", "NETFILTER", "TRACING"], flags: ["TRUSTED_ARGS"] },
  // filter.c skb meta
  bpf_dynptr_from_skb_meta: { hooks: ["TC", "SCHED_ACT"], flags: ["TRUSTED_ARGS"] },
  // filter.c xdp
  bpf_dynptr_from_xdp: { hooks: ["XDP"], flags: [] },
  bpf_xdp_pull_data: { hooks: ["XDP"], flags: [] },
  // filter.c sock_addr
  bpf_sock_addr_set_sun_path: { hooks: ["CGROUP"], flags: [], only: "sock-addr" },
  // filter.c tcp_reqsk
  bpf_sk_assign_tcp_reqsk: { hooks: ["TC"], flags: ["TRUSTED_ARGS"] },
  // filter.c sock_ops
  bpf_sock_ops_enable_tx_tstamp: { hooks: ["CGROUP"], flags: ["TRUSTED_ARGS"], only: "sock-ops" },
  // filter.c sk_iter
  bpf_sock_destroy: { hooks: ["TRACING"], flags: ["TRUSTED_ARGS"], only: "iter" },
  // xdp.c metadata
  bpf_xdp_metadata_rx_timestamp: { hooks: ["XDP"], flags: ["TRUSTED_ARGS"], only: "xdp-metadata" },
  bpf_xdp_metadata_rx_hash: { hooks: ["XDP"], flags: ["TRUSTED_ARGS"], only: "xdp-metadata" },
  bpf_xdp_metadata_rx_vlan_tag: { hooks: ["XDP"], flags: ["TRUSTED_ARGS"], only: "xdp-metadata" },
  // nf_conntrack_bpf.c
  bpf_xdp_ct_alloc: { hooks: ["XDP", "TC"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_xdp_ct_lookup: { hooks: ["XDP", "TC"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_skb_ct_alloc: { hooks: ["XDP", "TC"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_skb_ct_lookup: { hooks: ["XDP", "TC"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_ct_insert_entry: { hooks: ["XDP", "TC"], flags: ["ACQUIRE", "RELEASE", "RET_NULL"] },
  bpf_ct_release: { hooks: ["XDP", "TC"], flags: ["RELEASE"] },
  bpf_ct_set_timeout: { hooks: ["XDP", "TC"], flags: ["TRUSTED_ARGS"] },
  bpf_ct_change_timeout: { hooks: ["XDP", "TC"], flags: ["TRUSTED_ARGS"] },
  bpf_ct_set_status: { hooks: ["XDP", "TC"], flags: ["TRUSTED_ARGS"] },
  bpf_ct_change_status: { hooks: ["XDP", "TC"], flags: ["TRUSTED_ARGS"] },
  bpf_ct_set_nat_info: { hooks: ["XDP", "TC"], flags: ["TRUSTED_ARGS"] },
  // xfrm_state_bpf.c
  bpf_xdp_get_xfrm_state: { hooks: ["XDP"], flags: ["ACQUIRE", "RET_NULL"] },
  bpf_xdp_xfrm_state_release: { hooks: ["XDP"], flags: ["RELEASE"] },
  // test_run.c
  bpf_kfunc_call_test_release: { hooks: ["TC", "TRACING", "SYSCALL"], flags: ["RELEASE"] },
  bpf_kfunc_call_memb_release: { hooks: ["TC", "TRACING", "SYSCALL"], flags: ["RELEASE"] },
  // bpf_tcp_ca.c, tcp_cubic.c, tcp_bbr.c
  tcp_reno_ssthresh: { hooks: ["STRUCT_OPS"], flags: [] },
  tcp_reno_cong_avoid: { hooks: ["STRUCT_OPS"], flags: [] },
  tcp_reno_undo_cwnd: { hooks: ["STRUCT_OPS"], flags: [] },
  tcp_slow_start: { hooks: ["STRUCT_OPS"], flags: [] },
  tcp_cong_avoid_ai: { hooks: ["STRUCT_OPS"], flags: [] },
  cubictcp_init: { hooks: ["STRUCT_OPS"], flags: [] },
  cubictcp_recalc_ssthresh: { hooks: ["STRUCT_OPS"], flags: [] },
  cubictcp_cong_avoid: { hooks: ["STRUCT_OPS"], flags: [] },
  cubictcp_state: { hooks: ["STRUCT_OPS"], flags: [] },
  cubictcp_cwnd_event: { hooks: ["STRUCT_OPS"], flags: [] },
  cubictcp_acked: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_init: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_main: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_sndbuf_expand: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_undo_cwnd: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_cwnd_event: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_ssthresh: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_min_tso_segs: { hooks: ["STRUCT_OPS"], flags: [] },
  bbr_set_state: { hooks: ["STRUCT_OPS"], flags: [] },
} as const satisfies Record<string, KfuncRow>;
export type KfuncName = keyof typeof KFUNCS;

/** The row of a kernel function; undefined: not in the table. */
export function kfuncRow(name: string): KfuncRow | undefined {
  return Object.hasOwn(KFUNCS, name) ? KFUNCS[name as KfuncName] : undefined;
}
