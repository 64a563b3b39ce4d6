// One table: the context structures that programs get in r1, in the layout of the UAPI headers.

/** What a load of the field gives. */
export type FieldKind =
  | "scalar"
  /** Pointer to the first byte of the packet (or, for sockopt, of the option value). */
  | "packet"
  /** One past the last byte; compared with, never read through. */
  | "packet_end"
  /** Start of the metadata in front of the packet. */
  | "packet_meta"
  /** Pointer to a full socket, read as `struct bpf_sock`. */
  | "sock"
  /** Pointer to any socket, read as `struct bpf_sock` once cast by `sk_fullsock`; until then its common part only. */
  | "sock_common"
  /** Pointer to `struct bpf_flow_keys`. */
  | "flow_keys"
  /** Pointer to an object of the kernel's. */
  | "object"
  /** Pointer to the buffer of a writable raw tracepoint. */
  | "buffer";

/** A field of a context. Offsets and sizes in bytes. */
export interface ContextField {
  readonly name: string;
  readonly offset: number;
  /** Of one element. */
  readonly size: number;
  /** Arrays: number of elements. */
  readonly count?: number;
  readonly kind: FieldKind;
  /**
   * The kernel's own field is narrower than the UAPI's: a store keeps the low 16 bits, and with `"u16-below-max"` is
   * ignored when the register holds 0xffff or more.
   */
  readonly keeps?: "u16" | "u16-below-max";
  /** A pointer that may be null. */
  readonly nullable?: true;
}

/** A context structure. Members of C unions overlap. */
export interface ContextStruct {
  readonly size: number;
  readonly fields: readonly ContextField[];
}

/**
 * Context structures and the structures reached through them, by C name.
 * @see include/uapi/linux/bpf.h, include/uapi/linux/bpf_perf_event.h, arch/x86/include/asm/ptrace.h,
 * arch/arm64/include/uapi/asm/ptrace.h @ v6.12
 */
export const CONTEXT_STRUCTS = {
  xdp_md: {
    size: 24,
    fields: [
      { name: "data", offset: 0, size: 4, kind: "packet" },
      { name: "data_end", offset: 4, size: 4, kind: "packet_end" },
      { name: "data_meta", offset: 8, size: 4, kind: "packet_meta" },
      { name: "ingress_ifindex", offset: 12, size: 4, kind: "scalar" },
      { name: "rx_queue_index", offset: 16, size: 4, kind: "scalar" },
      { name: "egress_ifindex", offset: 20, size: 4, kind: "scalar" },
    ],
  },
  __sk_buff: {
    size: 192,
    fields: [
      { name: "len", offset: 0, size: 4, kind: "scalar" },
      { name: "pkt_type", offset: 4, size: 4, kind: "scalar" },
      { name: "mark", offset: 8, size: 4, kind: "scalar" },
      { name: "queue_mapping", offset: 12, size: 4, kind: "scalar", keeps: "u16-below-max" },
      { name: "protocol", offset: 16, size: 4, kind: "scalar" },
      { name: "vlan_present", offset: 20, size: 4, kind: "scalar" },
      { name: "vlan_tci", offset: 24, size: 4, kind: "scalar" },
      { name: "vlan_proto", offset: 28, size: 4, kind: "scalar" },
      { name: "priority", offset: 32, size: 4, kind: "scalar" },
      { name: "ingress_ifindex", offset: 36, size: 4, kind: "scalar" },
      { name: "ifindex", offset: 40, size: 4, kind: "scalar" },
      { name: "tc_index", offset: 44, size: 4, kind: "scalar", keeps: "u16" },
      { name: "cb", offset: 48, size: 4, count: 5, kind: "scalar" },
      { name: "hash", offset: 68, size: 4, kind: "scalar" },
      { name: "tc_classid", offset: 72, size: 4, kind: "scalar", keeps: "u16" },
      { name: "data", offset: 76, size: 4, kind: "packet" },
      { name: "data_end", offset: 80, size: 4, kind: "packet_end" },
      { name: "napi_id", offset: 84, size: 4, kind: "scalar" },
      { name: "family", offset: 88, size: 4, kind: "scalar" },
      { name: "remote_ip4", offset: 92, size: 4, kind: "scalar" },
      { name: "local_ip4", offset: 96, size: 4, kind: "scalar" },
      { name: "remote_ip6", offset: 100, size: 4, count: 4, kind: "scalar" },
      { name: "local_ip6", offset: 116, size: 4, count: 4, kind: "scalar" },
      { name: "remote_port", offset: 132, size: 4, kind: "scalar" },
      { name: "local_port", offset: 136, size: 4, kind: "scalar" },
      { name: "data_meta", offset: 140, size: 4, kind: "packet_meta" },
      { name: "flow_keys", offset: 144, size: 8, kind: "flow_keys" },
      { name: "tstamp", offset: 152, size: 8, kind: "scalar" },
      { name: "wire_len", offset: 160, size: 4, kind: "scalar" },
      { name: "gso_segs", offset: 164, size: 4, kind: "scalar" },
      { name: "sk", offset: 168, size: 8, kind: "sock_common", nullable: true },
      { name: "gso_size", offset: 176, size: 4, kind: "scalar" },
      { name: "tstamp_type", offset: 180, size: 1, kind: "scalar" },
      { name: "hwtstamp", offset: 184, size: 8, kind: "scalar" },
    ],
  },
  bpf_sk_lookup: {
    size: 72,
    fields: [
      { name: "cookie", offset: 0, size: 8, kind: "scalar" },
      { name: "family", offset: 8, size: 4, kind: "scalar" },
      { name: "protocol", offset: 12, size: 4, kind: "scalar" },
      { name: "remote_ip4", offset: 16, size: 4, kind: "scalar" },
      { name: "remote_ip6", offset: 20, size: 4, count: 4, kind: "scalar" },
      { name: "remote_port", offset: 36, size: 2, kind: "scalar" },
      { name: "local_ip4", offset: 40, size: 4, kind: "scalar" },
      { name: "local_ip6", offset: 44, size: 4, count: 4, kind: "scalar" },
      { name: "local_port", offset: 60, size: 4, kind: "scalar" },
      { name: "ingress_ifindex", offset: 64, size: 4, kind: "scalar" },
    ],
  },
  /** What PTR_TO_SOCKET points to. */
  bpf_sock: {
    size: 80,
    fields: [
      { name: "bound_dev_if", offset: 0, size: 4, kind: "scalar" },
      { name: "family", offset: 4, size: 4, kind: "scalar" },
      { name: "type", offset: 8, size: 4, kind: "scalar" },
      { name: "protocol", offset: 12, size: 4, kind: "scalar" },
      { name: "mark", offset: 16, size: 4, kind: "scalar" },
      { name: "priority", offset: 20, size: 4, kind: "scalar" },
      { name: "src_ip4", offset: 24, size: 4, kind: "scalar" },
      { name: "src_ip6", offset: 28, size: 4, count: 4, kind: "scalar" },
      { name: "src_port", offset: 44, size: 4, kind: "scalar" },
      { name: "dst_port", offset: 48, size: 2, kind: "scalar" },
      { name: "dst_ip4", offset: 52, size: 4, kind: "scalar" },
      { name: "dst_ip6", offset: 56, size: 4, count: 4, kind: "scalar" },
      { name: "state", offset: 72, size: 4, kind: "scalar" },
      { name: "rx_queue_mapping", offset: 76, size: 4, kind: "scalar" },
    ],
  },
  bpf_tcp_sock: {
    size: 112,
    fields: [
      { name: "snd_cwnd", offset: 0, size: 4, kind: "scalar" },
      { name: "srtt_us", offset: 4, size: 4, kind: "scalar" },
      { name: "rtt_min", offset: 8, size: 4, kind: "scalar" },
      { name: "snd_ssthresh", offset: 12, size: 4, kind: "scalar" },
      { name: "rcv_nxt", offset: 16, size: 4, kind: "scalar" },
      { name: "snd_nxt", offset: 20, size: 4, kind: "scalar" },
      { name: "snd_una", offset: 24, size: 4, kind: "scalar" },
      { name: "mss_cache", offset: 28, size: 4, kind: "scalar" },
      { name: "ecn_flags", offset: 32, size: 4, kind: "scalar" },
      { name: "rate_delivered", offset: 36, size: 4, kind: "scalar" },
      { name: "rate_interval_us", offset: 40, size: 4, kind: "scalar" },
      { name: "packets_out", offset: 44, size: 4, kind: "scalar" },
      { name: "retrans_out", offset: 48, size: 4, kind: "scalar" },
      { name: "total_retrans", offset: 52, size: 4, kind: "scalar" },
      { name: "segs_in", offset: 56, size: 4, kind: "scalar" },
      { name: "data_segs_in", offset: 60, size: 4, kind: "scalar" },
      { name: "segs_out", offset: 64, size: 4, kind: "scalar" },
      { name: "data_segs_out", offset: 68, size: 4, kind: "scalar" },
      { name: "lost_out", offset: 72, size: 4, kind: "scalar" },
      { name: "sacked_out", offset: 76, size: 4, kind: "scalar" },
      { name: "bytes_received", offset: 80, size: 8, kind: "scalar" },
      { name: "bytes_acked", offset: 88, size: 8, kind: "scalar" },
      { name: "dsack_dups", offset: 96, size: 4, kind: "scalar" },
      { name: "delivered", offset: 100, size: 4, kind: "scalar" },
      { name: "delivered_ce", offset: 104, size: 4, kind: "scalar" },
      { name: "icsk_retransmits", offset: 108, size: 4, kind: "scalar" },
    ],
  },
  bpf_sock_addr: {
    size: 72,
    fields: [
      { name: "user_family", offset: 0, size: 4, kind: "scalar" },
      { name: "user_ip4", offset: 4, size: 4, kind: "scalar" },
      { name: "user_ip6", offset: 8, size: 4, count: 4, kind: "scalar" },
      { name: "user_port", offset: 24, size: 4, kind: "scalar" },
      { name: "family", offset: 28, size: 4, kind: "scalar" },
      { name: "type", offset: 32, size: 4, kind: "scalar" },
      { name: "protocol", offset: 36, size: 4, kind: "scalar" },
      { name: "msg_src_ip4", offset: 40, size: 4, kind: "scalar" },
      { name: "msg_src_ip6", offset: 44, size: 4, count: 4, kind: "scalar" },
      { name: "sk", offset: 64, size: 8, kind: "sock" },
    ],
  },
  bpf_sock_ops: {
    size: 224,
    fields: [
      { name: "op", offset: 0, size: 4, kind: "scalar" },
      { name: "args", offset: 4, size: 4, count: 4, kind: "scalar" },
      { name: "reply", offset: 4, size: 4, kind: "scalar" },
      { name: "replylong", offset: 4, size: 4, count: 4, kind: "scalar" },
      { name: "family", offset: 20, size: 4, kind: "scalar" },
      { name: "remote_ip4", offset: 24, size: 4, kind: "scalar" },
      { name: "local_ip4", offset: 28, size: 4, kind: "scalar" },
      { name: "remote_ip6", offset: 32, size: 4, count: 4, kind: "scalar" },
      { name: "local_ip6", offset: 48, size: 4, count: 4, kind: "scalar" },
      { name: "remote_port", offset: 64, size: 4, kind: "scalar" },
      { name: "local_port", offset: 68, size: 4, kind: "scalar" },
      { name: "is_fullsock", offset: 72, size: 4, kind: "scalar" },
      { name: "snd_cwnd", offset: 76, size: 4, kind: "scalar" },
      { name: "srtt_us", offset: 80, size: 4, kind: "scalar" },
      { name: "bpf_sock_ops_cb_flags", offset: 84, size: 4, kind: "scalar" },
      { name: "state", offset: 88, size: 4, kind: "scalar" },
      { name: "rtt_min", offset: 92, size: 4, kind: "scalar" },
      { name: "snd_ssthresh", offset: 96, size: 4, kind: "scalar" },
      { name: "rcv_nxt", offset: 100, size: 4, kind: "scalar" },
      { name: "snd_nxt", offset: 104, size: 4, kind: "scalar" },
      { name: "snd_una", offset: 108, size: 4, kind: "scalar" },
      { name: "mss_cache", offset: 112, size: 4, kind: "scalar" },
      { name: "ecn_flags", offset: 116, size: 4, kind: "scalar" },
      { name: "rate_delivered", offset: 120, size: 4, kind: "scalar" },
      { name: "rate_interval_us", offset: 124, size: 4, kind: "scalar" },
      { name: "packets_out", offset: 128, size: 4, kind: "scalar" },
      { name: "retrans_out", offset: 132, size: 4, kind: "scalar" },
      { name: "total_retrans", offset: 136, size: 4, kind: "scalar" },
      { name: "segs_in", offset: 140, size: 4, kind: "scalar" },
      { name: "data_segs_in", offset: 144, size: 4, kind: "scalar" },
      { name: "segs_out", offset: 148, size: 4, kind: "scalar" },
      { name: "data_segs_out", offset: 152, size: 4, kind: "scalar" },
      { name: "lost_out", offset: 156, size: 4, kind: "scalar" },
      { name: "sacked_out", offset: 160, size: 4, kind: "scalar" },
      { name: "sk_txhash", offset: 164, size: 4, kind: "scalar" },
      { name: "bytes_received", offset: 168, size: 8, kind: "scalar" },
      { name: "bytes_acked", offset: 176, size: 8, kind: "scalar" },
      { name: "sk", offset: 184, size: 8, kind: "sock", nullable: true },
      { name: "skb_data", offset: 192, size: 8, kind: "packet" },
      { name: "skb_data_end", offset: 200, size: 8, kind: "packet_end" },
      { name: "skb_len", offset: 208, size: 4, kind: "scalar" },
      { name: "skb_tcp_flags", offset: 212, size: 4, kind: "scalar" },
      { name: "skb_hwtstamp", offset: 216, size: 8, kind: "scalar" },
    ],
  },
  sk_msg_md: {
    size: 80,
    fields: [
      { name: "data", offset: 0, size: 8, kind: "packet" },
      { name: "data_end", offset: 8, size: 8, kind: "packet_end" },
      { name: "family", offset: 16, size: 4, kind: "scalar" },
      { name: "remote_ip4", offset: 20, size: 4, kind: "scalar" },
      { name: "local_ip4", offset: 24, size: 4, kind: "scalar" },
      { name: "remote_ip6", offset: 28, size: 4, count: 4, kind: "scalar" },
      { name: "local_ip6", offset: 44, size: 4, count: 4, kind: "scalar" },
      { name: "remote_port", offset: 60, size: 4, kind: "scalar" },
      { name: "local_port", offset: 64, size: 4, kind: "scalar" },
      { name: "size", offset: 68, size: 4, kind: "scalar" },
      { name: "sk", offset: 72, size: 8, kind: "sock" },
    ],
  },
  sk_reuseport_md: {
    size: 56,
    fields: [
      { name: "data", offset: 0, size: 8, kind: "packet" },
      { name: "data_end", offset: 8, size: 8, kind: "packet_end" },
      { name: "len", offset: 16, size: 4, kind: "scalar" },
      { name: "eth_protocol", offset: 20, size: 4, kind: "scalar" },
      { name: "ip_protocol", offset: 24, size: 4, kind: "scalar" },
      { name: "bind_inany", offset: 28, size: 4, kind: "scalar" },
      { name: "hash", offset: 32, size: 4, kind: "scalar" },
      { name: "sk", offset: 40, size: 8, kind: "sock" },
      { name: "migrating_sk", offset: 48, size: 8, kind: "sock_common", nullable: true },
    ],
  },
  bpf_cgroup_dev_ctx: {
    size: 12,
    fields: [
      { name: "access_type", offset: 0, size: 4, kind: "scalar" },
      { name: "major", offset: 4, size: 4, kind: "scalar" },
      { name: "minor", offset: 8, size: 4, kind: "scalar" },
    ],
  },
  bpf_sysctl: {
    size: 8,
    fields: [
      { name: "write", offset: 0, size: 4, kind: "scalar" },
      { name: "file_pos", offset: 4, size: 4, kind: "scalar" },
    ],
  },
  bpf_sockopt: {
    size: 40,
    fields: [
      { name: "sk", offset: 0, size: 8, kind: "sock" },
      { name: "optval", offset: 8, size: 8, kind: "packet" },
      { name: "optval_end", offset: 16, size: 8, kind: "packet_end" },
      { name: "level", offset: 24, size: 4, kind: "scalar" },
      { name: "optname", offset: 28, size: 4, kind: "scalar" },
      { name: "optlen", offset: 32, size: 4, kind: "scalar" },
      { name: "retval", offset: 36, size: 4, kind: "scalar" },
    ],
  },
  bpf_flow_keys: {
    size: 56,
    fields: [
      { name: "nhoff", offset: 0, size: 2, kind: "scalar" },
      { name: "thoff", offset: 2, size: 2, kind: "scalar" },
      { name: "addr_proto", offset: 4, size: 2, kind: "scalar" },
      { name: "is_frag", offset: 6, size: 1, kind: "scalar" },
      { name: "is_first_frag", offset: 7, size: 1, kind: "scalar" },
      { name: "is_encap", offset: 8, size: 1, kind: "scalar" },
      { name: "ip_proto", offset: 9, size: 1, kind: "scalar" },
      { name: "n_proto", offset: 10, size: 2, kind: "scalar" },
      { name: "sport", offset: 12, size: 2, kind: "scalar" },
      { name: "dport", offset: 14, size: 2, kind: "scalar" },
      { name: "ipv4_src", offset: 16, size: 4, kind: "scalar" },
      { name: "ipv4_dst", offset: 20, size: 4, kind: "scalar" },
      { name: "ipv6_src", offset: 16, size: 4, count: 4, kind: "scalar" },
      { name: "ipv6_dst", offset: 32, size: 4, count: 4, kind: "scalar" },
      { name: "flags", offset: 48, size: 4, kind: "scalar" },
      { name: "flow_label", offset: 52, size: 4, kind: "scalar" },
    ],
  },
  /** `struct pt_regs` of x86-64. Arguments 1–6: rdi rsi rdx rcx r8 r9; result: rax. */
  pt_regs: {
    size: 168,
    fields: [
      { name: "r15", offset: 0, size: 8, kind: "scalar" },
      { name: "r14", offset: 8, size: 8, kind: "scalar" },
      { name: "r13", offset: 16, size: 8, kind: "scalar" },
      { name: "r12", offset: 24, size: 8, kind: "scalar" },
      { name: "bp", offset: 32, size: 8, kind: "scalar" },
      { name: "bx", offset: 40, size: 8, kind: "scalar" },
      { name: "r11", offset: 48, size: 8, kind: "scalar" },
      { name: "r10", offset: 56, size: 8, kind: "scalar" },
      { name: "r9", offset: 64, size: 8, kind: "scalar" },
      { name: "r8", offset: 72, size: 8, kind: "scalar" },
      { name: "ax", offset: 80, size: 8, kind: "scalar" },
      { name: "cx", offset: 88, size: 8, kind: "scalar" },
      { name: "dx", offset: 96, size: 8, kind: "scalar" },
      { name: "si", offset: 104, size: 8, kind: "scalar" },
      { name: "di", offset: 112, size: 8, kind: "scalar" },
      { name: "orig_ax", offset: 120, size: 8, kind: "scalar" },
      { name: "ip", offset: 128, size: 8, kind: "scalar" },
      { name: "cs", offset: 136, size: 8, kind: "scalar" },
      { name: "flags", offset: 144, size: 8, kind: "scalar" },
      { name: "sp", offset: 152, size: 8, kind: "scalar" },
      { name: "ss", offset: 160, size: 8, kind: "scalar" },
    ],
  },
  /** `struct user_pt_regs` of arm64. Arguments 1–8: x0–x7; result: x0. */
  user_pt_regs: {
    size: 272,
    fields: [
      { name: "regs", offset: 0, size: 8, count: 31, kind: "scalar" },
      { name: "sp", offset: 248, size: 8, kind: "scalar" },
      { name: "pc", offset: 256, size: 8, kind: "scalar" },
      { name: "pstate", offset: 264, size: 8, kind: "scalar" },
    ],
  },
  /** x86-64; `regs` is a `struct pt_regs`. */
  bpf_perf_event_data: {
    size: 184,
    fields: [
      { name: "regs", offset: 0, size: 8, count: 21, kind: "scalar" },
      { name: "sample_period", offset: 168, size: 8, kind: "scalar" },
      { name: "addr", offset: 176, size: 8, kind: "scalar" },
    ],
  },
  bpf_raw_tracepoint_args: {
    size: 96,
    fields: [{ name: "args", offset: 0, size: 8, count: 12, kind: "scalar" }],
  },
  /** Writable raw tracepoints: the first argument points to the buffer. */
  raw_tracepoint_writable_args: {
    size: 96,
    fields: [
      { name: "buffer", offset: 0, size: 8, kind: "buffer" },
      { name: "args", offset: 8, size: 8, count: 11, kind: "scalar" },
    ],
  },
  bpf_nf_ctx: {
    size: 16,
    fields: [
      { name: "state", offset: 0, size: 8, kind: "object" },
      { name: "skb", offset: 8, size: 8, kind: "object" },
    ],
  },
  /** LIRC: one mode2 sample. */
  lirc_mode2_sample: { size: 4, fields: [{ name: "sample", offset: 0, size: 4, kind: "scalar" }] },
  /** A tracepoint's record: 8 bytes that programs may not read, then the fields of its format file. */
  tracepoint_record: { size: 8192, fields: [] },
  /** The bytes given to BPF_PROG_TEST_RUN as context. */
  syscall_args: { size: 65535, fields: [] },
} as const satisfies Record<string, ContextStruct>;
export type ContextStructName = keyof typeof CONTEXT_STRUCTS;

/** The structure, with every optional fact readable. */
export function contextStruct(name: ContextStructName): ContextStruct {
  return CONTEXT_STRUCTS[name];
}
