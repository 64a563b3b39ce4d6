import type { Description } from "../description.ts";
import { formatLine } from "./format.ts";
import type { Machine, WrapperOptions } from "./instance.ts";

type Helper = (...args: bigint[]) => bigint;

/** A task's name, with its NUL. */
const COMM = "skep";
const NS_PER_MS = 1e6;
const JIFFY_MS = 4;
/** Verdicts of bpf_redirect: sent, and refused for its flags. */
const XDP = { redirect: 4n, refused: 0n, flags: 0n } as const;
const TC = { redirect: 7n, refused: 2n, flags: 1n } as const;
const EINVAL = -22n;

/** What helpers do where the host says nothing else. */
function usual(
  { description, exports, bytes, words }: Machine,
  options: WrapperOptions,
): Readonly<Record<string, Helper>> {
  const now: Helper = () => BigInt(Math.round(performance.now() * NS_PER_MS));
  /** The words at an address: arguments of the formatting helpers with an array of them. */
  const array = (at: bigint, size: bigint) =>
    Array.from({ length: Number(size) >> 3 }, (_, i) => words().getBigUint64(Number(at) + 8 * i, true));
  const trace = (text: string): bigint => {
    options.trace?.(text.endsWith("\n") ? text.slice(0, -1) : text);
    return BigInt(text.length);
  };
  const isXdp = description.programs.every(({ type }) => type === "BPF_PROG_TYPE_XDP");
  const verdicts = isXdp ? XDP : TC;
  const redirect: Helper = (_index, flags) =>
    (flags & ~verdicts.flags) === 0n ? verdicts.redirect : verdicts.refused;
  return {
    bpf_ktime_get_ns: now,
    bpf_ktime_get_boot_ns: now,
    bpf_ktime_get_coarse_ns: now,
    bpf_ktime_get_tai_ns: () => BigInt(Date.now()) * 1_000_000n,
    bpf_jiffies64: () => BigInt(Math.floor(performance.now() / JIFFY_MS)),
    bpf_get_prandom_u32: () => BigInt(Math.floor(Math.random() * 0x1_0000_0000)),
    bpf_get_current_pid_tgid: () => (1n << 32n) | 1n,
    bpf_get_current_uid_gid: () => 0n,
    bpf_get_current_cgroup_id: () => 1n,
    bpf_get_current_comm(to, size) {
      const name = new Uint8Array(Number(size));
      name.set(new TextEncoder().encode(COMM).subarray(0, Math.max(0, name.length - 1)));
      bytes().set(name, Number(to));
      return 0n;
    },
    bpf_perf_event_output(_context, map, _flags, data, size) {
      const name = description.maps.find((row) => exports[row.global].value === Number(map))!.name; // it has no others
      options.event?.(name, bytes().slice(Number(data), Number(data) + Number(size)));
      return 0n;
    },
    bpf_redirect: redirect,
    bpf_redirect_peer: (_index, flags) => (flags === 0n ? TC.redirect : TC.refused),
    bpf_redirect_neigh: (_index, _params, _size, flags) => (flags === 0n ? TC.redirect : TC.refused),
    bpf_trace_printk: (format, size, ...args) =>
      trace(formatLine(bytes(), Number(format), Number(size), args)),
    bpf_trace_vprintk: (format, size, data, length) =>
      trace(formatLine(bytes(), Number(format), Number(size), array(data, length))),
    bpf_snprintf(to, size, format, data, length) {
      if (length % 8n !== 0n) return EINVAL;
      const memory = bytes();
      const end = memory.indexOf(0, Number(format));
      const text = formatLine(memory, Number(format), end - Number(format), array(data, length));
      const out = new TextEncoder().encode(text);
      if (size > 0n) {
        const kept = out.subarray(0, Number(size) - 1);
        memory.set(kept, Number(to));
        memory[Number(to) + kept.length] = 0;
      }
      return BigInt(out.length + 1);
    },
  };
}

/** The functions of `env` that a module imports. @throws Error naming those that nobody gives. */
export function hostImports(
  description: Description,
  options: WrapperOptions,
  machine: () => Machine,
): Record<string, Helper> {
  const imports: Record<string, Helper> = {};
  let table: Readonly<Record<string, Helper>> | undefined;
  const missing: string[] = [];
  const known = usual({ ...EMPTY, description }, options);
  for (const { name } of description.imports) {
    const own = options.env?.[name];
    if (own === undefined && known[name] === undefined) missing.push(name);
    imports[name] =
      own ??
      ((...args) => {
        table ??= usual(machine(), options);
        return table[name](...args.map((arg) => BigInt.asUintN(64, arg)));
      });
  }
  if (missing.length > 0)
    throw new Error(`${description.name} needs ${missing.join(", ")}: give them as options.env`);
  return imports;
}

/** Stands for the instance until there is one: to ask which helpers there are. */
const EMPTY: Omit<Machine, "description"> = {
  exports: {},
  bytes: () => new Uint8Array(0),
  words: () => new DataView(new ArrayBuffer(0)),
};
