// One table: kfuncs that programs are known to use and the embedded kernel does not have, each with the reason.
import type { NotImplemented } from "../helper-call.ts";

const kernelTypes = because(
  "it gives access to the kernel's own structs by the kernel's BTF; there is no such kernel here",
);
const treeShape = because(
  "trees are kept as sorted sequences here, so there are no left and right children to follow",
);
const walks = because("the embedded kernel has one task and no memory areas or cgroup trees to walk over");
const conntrack = because("there is no connection tracking behind the embedded kernel");
const crypto = because("the kernel's crypto algorithms do not exist here");
const keyring = because("there are no keyrings, and so no keys to verify signatures with");
const files = because("there is no file system, and so no files or paths");
const congestion = because("there is no TCP, and so no connection whose congestion window could change");
const sessions = because(
  "there are no functions to attach to, and so no entry and return of one call to tell apart",
);

/** Every row has a reason. A program that calls one of these is refused when it is loaded. */
export const ABSENT_KFUNCS = {
  bpf_cast_to_kern_ctx: kernelTypes,
  bpf_rdonly_cast: kernelTypes,
  bpf_rbtree_root: treeShape,
  bpf_rbtree_left: treeShape,
  bpf_rbtree_right: treeShape,
  bpf_iter_task_new: walks,
  bpf_iter_task_next: walks,
  bpf_iter_task_destroy: walks,
  bpf_iter_task_vma_new: walks,
  bpf_iter_task_vma_next: walks,
  bpf_iter_task_vma_destroy: walks,
  bpf_iter_css_new: walks,
  bpf_iter_css_next: walks,
  bpf_iter_css_destroy: walks,
  bpf_iter_css_task_new: walks,
  bpf_iter_css_task_next: walks,
  bpf_iter_css_task_destroy: walks,
  bpf_skb_ct_alloc: conntrack,
  bpf_skb_ct_lookup: conntrack,
  bpf_xdp_ct_alloc: conntrack,
  bpf_xdp_ct_lookup: conntrack,
  bpf_ct_insert_entry: conntrack,
  bpf_ct_release: conntrack,
  bpf_ct_set_timeout: conntrack,
  bpf_ct_change_timeout: conntrack,
  bpf_ct_set_status: conntrack,
  bpf_ct_change_status: conntrack,
  bpf_ct_set_nat_info: conntrack,
  bpf_crypto_ctx_create: crypto,
  bpf_crypto_ctx_acquire: crypto,
  bpf_crypto_ctx_release: crypto,
  bpf_crypto_encrypt: crypto,
  bpf_crypto_decrypt: crypto,
  bpf_lookup_user_key: keyring,
  bpf_lookup_system_key: keyring,
  bpf_key_put: keyring,
  bpf_verify_pkcs7_signature: keyring,
  bpf_get_task_exe_file: files,
  bpf_put_file: files,
  bpf_path_d_path: files,
  bpf_get_file_xattr: files,
  bpf_get_dentry_xattr: files,
  bpf_get_fsverity_digest: files,
  bpf_sock_destroy: because(
    "sockets of the embedded kernel are declared by the host and cannot be closed by a program",
  ),
  bpf_sock_addr_set_sun_path: because("there are no Unix sockets, and so no addresses of them"),
  bpf_session_cookie: sessions,
  bpf_session_is_return: sessions,
  tcp_reno_undo_cwnd: congestion,
  tcp_reno_ssthresh: congestion,
  tcp_reno_cong_avoid: congestion,
  tcp_slow_start: congestion,
  tcp_cong_avoid_ai: congestion,
  cubictcp_init: congestion,
  cubictcp_recalc_ssthresh: congestion,
  cubictcp_cong_avoid: congestion,
  cubictcp_state: congestion,
  cubictcp_cwnd_event: congestion,
  cubictcp_acked: congestion,
} as const satisfies Record<string, NotImplemented>;

function because(reason: string): NotImplemented {
  return { reason };
}
