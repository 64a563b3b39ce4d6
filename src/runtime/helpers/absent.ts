// One table: the helpers that the embedded kernel does not have, each with the reason that users are shown.
import type { HelperTable, NotImplemented } from "../helper-call.ts";

const socketOptions = because(
  "there is no TCP/IP stack behind the embedded kernel's sockets, so they have no options",
);
const streamMessage = because(
  "sk_msg programs run when a task sends on a socket; nothing sends on sockets here",
);
const lwt = because("lightweight tunnels are part of a route; the embedded kernel does not route packets");
const infrared = because("there is no infrared receiver to report a key to");
const sysctl = because("there is no /proc/sys whose files a task could read or write");
const tcpOptions = because(
  "TCP header options belong to a live connection, and the embedded kernel has no TCP",
);
const traced = because("there are no kernel functions to attach to, and so no arguments to look up");
const files = because("there is no file system, and so no files, inodes or paths");
const seqFile = because(
  "BPF iterators and their seq_file output do not exist here: read maps from the host instead",
);
const kernelBtf = because(
  "it prints objects of the running kernel by the kernel's BTF; there is no such kernel here",
);

/** Every row has a reason. A program that calls one of these is refused when it is loaded. */
export const ABSENT_HELPERS = {
  setsockopt: socketOptions,
  getsockopt: socketOptions,
  sock_ops_cb_flags_set: tcpOptions,
  load_hdr_opt: tcpOptions,
  store_hdr_opt: tcpOptions,
  reserve_hdr_opt: tcpOptions,
  bind: because("there are no addresses or ports to bind a socket to"),
  tcp_send_ack: because("there is no TCP connection that could send an acknowledgement"),

  sk_select_reuseport: because("there is no group of listening sockets to choose from"),
  msg_apply_bytes: streamMessage,
  msg_cork_bytes: streamMessage,
  msg_pull_data: streamMessage,
  msg_push_data: streamMessage,
  msg_pop_data: streamMessage,

  lwt_push_encap: lwt,
  lwt_seg6_store_bytes: lwt,
  lwt_seg6_adjust_srh: lwt,
  lwt_seg6_action: lwt,

  rc_repeat: infrared,
  rc_keydown: infrared,
  rc_pointer_rel: infrared,

  sysctl_get_name: sysctl,
  sysctl_get_current_value: sysctl,
  sysctl_get_new_value: sysctl,
  sysctl_set_new_value: sysctl,

  skb_output: because("it takes the kernel's own struct sk_buff, which only programs traced into Linux see"),
  xdp_output: because("it takes the kernel's own struct xdp_buff, which only programs traced into Linux see"),

  d_path: files,
  sock_from_file: files,
  ima_inode_hash: files,
  ima_file_hash: files,
  bprm_opts_set: because("no program files are executed here, so there is no linux_binprm to set options of"),
  find_vma: because("tasks of the embedded kernel have no address space, and so no memory areas to find"),

  seq_printf: seqFile,
  seq_write: seqFile,
  seq_printf_btf: seqFile,
  snprintf_btf: kernelBtf,
  btf_find_by_name_kind: because("there is no BTF of a running kernel whose types could be found by name"),
  sys_bpf: because(
    "bpf(2) works on file descriptors, which do not exist here: use the host's map and program objects",
  ),

  get_func_arg: traced,
  get_func_ret: traced,
  get_func_arg_cnt: traced,
} as const satisfies Partial<HelperTable>;

function because(reason: string): NotImplemented {
  return { reason };
}
