// One table: which kernel functions programs may attach to, where names decide.

/** LSM hooks that sleepable programs may attach to. @see kernel/bpf/bpf_lsm.c `sleepable_lsm_hooks` @ v6.12 */
export const SLEEPABLE_LSM_HOOKS: ReadonlySet<string> = new Set(
  (
    "bpf bpf_map bpf_map_create bpf_map_free bpf_prog bpf_prog_load bpf_token_create bpf_token_free bpf_token_cmd " +
    "bpf_token_capable bprm_check_security bprm_committed_creds bprm_committing_creds bprm_creds_for_exec " +
    "bprm_creds_from_file capget capset cred_prepare file_ioctl file_lock file_open file_post_open file_receive " +
    "inode_create inode_free_security inode_getattr inode_getxattr inode_mknod inode_need_killpriv inode_post_setxattr " +
    "inode_readlink inode_rename inode_rmdir inode_setattr inode_setxattr inode_symlink inode_unlink " +
    "kernel_module_request kernel_read_file kernfs_init_security path_unlink path_mkdir path_rmdir path_truncate " +
    "path_symlink path_link path_rename path_chmod path_chown mmap_file netlink_send path_notify release_secctx " +
    "sb_alloc_security sb_eat_lsm_opts sb_kern_mount sb_mount sb_remount sb_set_mnt_opts sb_show_options sb_statfs " +
    "sb_umount settime socket_accept socket_bind socket_connect socket_create socket_getpeername " +
    "socket_getpeersec_dgram socket_getsockname socket_getsockopt socket_listen socket_post_create socket_recvmsg " +
    "socket_sendmsg socket_shutdown socket_socketpair syslog task_alloc current_getsecid_subj task_getsecid_obj " +
    "task_prctl task_setscheduler userns_create"
  ).split(" "),
);

/** The kernel function, `bpf_lsm_…`, is such a hook. `bpf_lsm_is_sleepable_hook` */
export function isSleepableHook(func: string): boolean {
  return func.startsWith("bpf_lsm_") && SLEEPABLE_LSM_HOOKS.has(func.slice("bpf_lsm_".length));
}

/** LSM hooks that answer 0 or 1. @see kernel/bpf/bpf_lsm.c `bool_lsm_hooks` @ v6.18 */
export const BOOL_LSM_HOOKS: ReadonlySet<string> = new Set([
  "bpf_lsm_xfrm_state_pol_flow_match",
  "bpf_lsm_audit_rule_known",
  "bpf_lsm_inode_xattr_skipcap",
]);

/** LSM hooks that no program may attach to. @see `bpf_lsm_disabled_hooks` @ v6.12 */
export const DISABLED_LSM_HOOKS: ReadonlySet<string> = new Set([
  "vm_enough_memory",
  "inode_need_killpriv",
  "inode_getsecurity",
  "inode_listsecurity",
  "inode_copy_up_xattr",
  "getselfattr",
  "getprocattr",
  "setprocattr",
  "key_getsecurity",
  "audit_rule_match",
  "xfrm_decode_session",
  "ismaclabel",
]);

/** Functions that no tracing program may attach to. @see kernel/bpf/verifier.c `btf_id_deny` @ v6.18 */
export const DENIED_FUNCTIONS: ReadonlySet<string> = new Set([
  "migrate_disable",
  "migrate_enable",
  "rcu_read_unlock_strict",
  "preempt_count_add",
  "preempt_count_sub",
  "__rcu_read_lock",
  "__rcu_read_unlock",
]);

/** Functions that never return: nothing runs behind them. @see `noreturn_deny` @ v6.18 */
export const NORETURN_FUNCTIONS: ReadonlySet<string> = new Set([
  "__ia32_sys_exit",
  "__ia32_sys_exit_group",
  "__kunit_abort",
  "kunit_try_catch_throw",
  "__module_put_and_kthread_exit",
  "__x64_sys_exit",
  "__x64_sys_exit_group",
  "do_exit",
  "do_group_exit",
  "kthread_complete_and_exit",
  "kthread_exit",
  "make_task_dead",
]);

/**
 * Functions whose result `fmod_ret` may replace whatever the kernel's error injection list says: `security_*` and those
 * made for it.
 */
export function isModifiable(name: string): boolean {
  return name.startsWith("security_") || MODIFY_RETURN_SETS.has(name);
}

/** The function of the modifiable ones that sleepable programs may attach to (`KF_SLEEPABLE`). */
export const SLEEPABLE_MODIFIABLE = "bpf_fentry_test1";

/** On the error injection list, and yet not for sleepable programs. @see `btf_non_sleepable_error_inject` @ v6.18 */
export const NON_SLEEPABLE_INJECTED: ReadonlySet<string> = new Set([
  "__filemap_add_folio",
  "should_fail_alloc_page",
  "should_failslab",
]);

/** A kernel with an error injection list (`CONFIG_FUNCTION_ERROR_INJECTION`) has this function. */
export const INJECTION_FUNCTION = "within_error_injection_list";

/** System calls are on every error injection list. */
export function isSystemCall(name: string): boolean {
  return /^__(x64|ia32)_(compat_)?sys_/.test(name);
}

/** @see net/bpf/test_run.c `bpf_test_modify_return_ids`, net/mptcp/bpf.c `bpf_mptcp_fmodret_ids` @ v6.18 */
const MODIFY_RETURN_SETS: ReadonlySet<string> = new Set([
  "bpf_modify_return_test",
  "bpf_modify_return_test2",
  "bpf_modify_return_test_tp",
  "update_socket_protocol",
  "bpf_fentry_test1",
]);
