import { type Btf, BtfIndex, findMember, sizeOf } from "../../btf/index.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";
import { programTypeOf } from "./program-type.ts";

/** Members that struct_ops programs may write: structure → paths. `btf_struct_access` of each `bpf_verifier_ops` @ v6.18 */
const TCP_SOCK_MEMBERS: readonly (readonly [struct: string, path: string, whole: boolean])[] = [
  ["sock", "sk_pacing_rate", false],
  ["sock", "sk_pacing_status", false],
  ["inet_connection_sock", "icsk_ca_priv", true],
  ["inet_connection_sock", "icsk_ack.pending", false],
  ["tcp_sock", "snd_cwnd", false],
  ["tcp_sock", "snd_cwnd_cnt", false],
  ["tcp_sock", "snd_cwnd_stamp", false],
  ["tcp_sock", "snd_ssthresh", false],
  ["tcp_sock", "ecn_flags", false],
  ["tcp_sock", "app_limited", false],
];

/** `task_struct` members that schedulers may write. @see kernel/sched/ext.c `bpf_scx_btf_struct_access` @ v6.18 */
const SCX_MEMBERS: readonly string[] = ["scx.slice", "scx.dsq_vtime", "scx.disallow"];

/**
 * A store into a kernel object. True: the program type has rules of its own and they allow it; false: it has none. Rejects
 * what the rules refuse.
 */
export function checkStructWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): boolean {
  switch (programTypeOf(env)) {
    case "BPF_PROG_TYPE_SCHED_CLS":
    case "BPF_PROG_TYPE_SCHED_ACT":
    case "BPF_PROG_TYPE_XDP":
      return checkConnWrite(env, btf, id, off, size);
    case "BPF_PROG_TYPE_STRUCT_OPS":
      return checkStructOpsWrite(env, btf, id, off, size);
    default:
      return false;
  }
}

/**
 * `struct nf_conn` and, around it, `struct nf_conn___init`: only `mark`.
 * @see net/netfilter/nf_conntrack_bpf.c `_nf_conntrack_btf_struct_access` @ v6.18
 */
function checkConnWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): boolean {
  const name = btf.types[id]?.name ?? "";
  if (name !== "nf_conn" && name !== "nf_conn___init") {
    env.fail("verifier/read-only-object", "only read is supported", "EACCES");
  }
  const mark = findMember(btf, id, name === "nf_conn" ? "mark" : "ct.mark");
  if (mark === undefined || off !== mark.bitOffset / 8) {
    env.fail("verifier/read-only-object", `no write support to nf_conn at off ${off}`, "EACCES");
  }
  const end = mark.bitOffset / 8 + sizeOf(btf, mark.type);
  if (off + size > end) {
    env.fail(
      "verifier/read-only-object",
      `write access at off ${off} with size ${size} beyond the member of nf_conn ended at ${end}`,
      "EACCES",
    );
  }
  return true;
}

function checkStructOpsWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): boolean {
  const { attachBtfId, attachTo } = env.program;
  const ops = env.btfs[BTF_KERNEL]?.types[attachBtfId ?? 0]?.name || attachTo?.split("/")[0];
  switch (ops) {
    case "tcp_congestion_ops":
      checkTcpSockWrite(env, btf, id, off, size);
      return true;
    case "bpf_dummy_ops":
      checkDummyWrite(env, btf, id, off, size);
      return true;
    case "sched_ext_ops":
      checkTaskWrite(env, btf, id, off, size);
      return true;
    case "hid_bpf_ops":
      checkHidWrite(env, btf, id, off, size);
      return true;
    case "Qdisc_ops":
      checkQdiscWrite(env, btf, id, off, size);
      return true;
    default:
      return false;
  }
}

function checkTcpSockWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): void {
  if (btf.types[id]?.name !== "tcp_sock")
    env.fail("verifier/read-only-object", "only read is supported", "EACCES");
  const index = new BtfIndex(btf);
  for (const [struct, path, whole] of TCP_SOCK_MEMBERS) {
    const owner = index.find(struct, "struct");
    const place = owner === undefined ? undefined : findMember(btf, owner, path);
    if (place === undefined) continue;
    const start = place.bitOffset / 8;
    const end = start + (place.bitSize > 0 ? Math.ceil(place.bitSize / 8) : sizeOf(btf, place.type));
    if (off !== start && !(whole && off > start && off < end)) continue;
    if (off + size <= end) return;
    env.fail(
      "verifier/read-only-object",
      `write access at off ${off} with size ${size} beyond the member of tcp_sock ended at ${end}`,
      "EACCES",
    );
  }
  env.fail("verifier/read-only-object", `no write support to tcp_sock at off ${off}`, "EACCES");
}

function checkDummyWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): void {
  const type = btf.types[id];
  if (type?.kind !== "struct" || type.name !== "bpf_dummy_ops_state") {
    env.fail("verifier/read-only-object", "only access to bpf_dummy_ops_state is supported", "EACCES");
  }
  if (off + size > type.size) {
    env.fail("verifier/read-only-object", `write access at off ${off} with size ${size}`, "EACCES");
  }
}

/** A range of bytes of a structure. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Bytes of a member; undefined: this kernel's structure has none of that name. */
function bytesOf(btf: Btf, struct: number, path: string): ByteRange | undefined {
  const place = findMember(btf, struct, path);
  if (place === undefined) return undefined;
  const start = place.bitOffset / 8;
  return { start, end: start + sizeOf(btf, place.type) };
}

/** Members that HID programs may write; of a string all but its last byte. */
const HID_MEMBERS: Readonly<
  Record<string, readonly (readonly [path: string, string: boolean])[] | undefined>
> = {
  hid_bpf_ctx: [["retval", false]],
  hid_device: [
    ["name", true],
    ["uniq", true],
    ["phys", true],
  ],
};

/** @see drivers/hid/bpf/hid_bpf_struct_ops.c `hid_bpf_ops_btf_struct_access` @ v6.18 */
function checkHidWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): void {
  const type = btf.types[id];
  const name = type?.name ?? "";
  const members = Object.hasOwn(HID_MEMBERS, name) ? HID_MEMBERS[name] : undefined;
  if (type?.kind !== "struct" || members === undefined) {
    env.fail("verifier/read-only-object", "write access to this struct is not supported", "EACCES");
  }
  if (off + size > type.size) {
    env.fail(
      "verifier/read-only-object",
      `write access for struct ${name} at off ${off} with size ${size}`,
      "EACCES",
    );
  }
  for (const [path, isString] of members) {
    const range = bytesOf(btf, id, path);
    if (range !== undefined && off >= range.start && off + size <= range.end - (isString ? 1 : 0)) return;
  }
  env.fail(
    "verifier/read-only-object",
    `write access at off ${off} with size ${size} on read-only part of ${name}`,
    "EACCES",
  );
}

/** `QDISC_CB_PRIV_LEN` */
const QDISC_PRIVATE_BYTES = 20;

/** @see net/sched/bpf_qdisc.c `bpf_qdisc_btf_struct_access` @ v6.18 */
function checkQdiscWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): void {
  const name = btf.types[id]?.name ?? "";
  if (name !== "sk_buff" && name !== "Qdisc") {
    env.fail("verifier/read-only-object", "only read is supported", "EACCES");
  }
  const range = name === "Qdisc" ? qdiscBytes(btf, id, off) : skbBytes(btf, id, off);
  if (range === undefined) {
    env.fail("verifier/read-only-object", `no write support to ${name} at off ${off}`, "EACCES");
  }
  if (off + size > range.end) {
    env.fail(
      "verifier/read-only-object",
      `write access at off ${off} with size ${size} beyond the member of ${name} ended at ${range.end}`,
      "EACCES",
    );
  }
}

/** The range of a queueing discipline that a store at `off` may fill. */
function qdiscBytes(btf: Btf, id: number, off: number): ByteRange | undefined {
  for (const path of ["limit", "q.qlen"]) {
    const range = bytesOf(btf, id, path);
    if (range?.start === off) return range;
  }
  const statistics = bytesOf(btf, id, "qstats");
  return statistics !== undefined && off >= statistics.start && off < statistics.end ? statistics : undefined;
}

/** … of a packet: its time, and what the control block keeps for the discipline. */
function skbBytes(btf: Btf, id: number, off: number): ByteRange | undefined {
  const time = bytesOf(btf, id, "tstamp");
  if (time?.start === off) return time;
  const control = bytesOf(btf, id, "cb");
  const owner = new BtfIndex(btf).find("qdisc_skb_cb", "struct");
  const data = owner === undefined ? undefined : bytesOf(btf, owner, "data");
  if (control === undefined || data === undefined) return undefined;
  const start = control.start + data.start;
  const end = start + Math.min(QDISC_PRIVATE_BYTES, data.end - data.start);
  return off >= start && off < end ? { start, end } : undefined;
}

function checkTaskWrite(env: VerifierEnv, btf: Btf, id: number, off: number, size: number): void {
  if (btf.types[id]?.name === "task_struct") {
    for (const path of SCX_MEMBERS) {
      const place = findMember(btf, id, path);
      if (place === undefined) continue;
      const start = place.bitOffset / 8;
      if (off >= start && off + size <= start + sizeOf(btf, place.type)) return;
    }
  }
  env.fail("verifier/read-only-object", "only read is supported", "EACCES");
}
