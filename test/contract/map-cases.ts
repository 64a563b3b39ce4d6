// Rows of the map contract: what bpf(2) answers, step by step. Every row holds in Linux 6.18 (the test next door asks the
// running kernel where it may) and in the embedded kernel.
import type { MapTypeName } from "../../src/abi/index.ts";

/**
 * Bytes as hex; `*` in front: the same for each CPU; `@n`: the map `inners[n]` (its descriptor when written, its id when
 * read). The last element is what the step gives: `"ok"`, an errno name, bytes, or a count.
 */
export type MapStep =
  | readonly ["update", key: string, value: string, flags: number, want: string]
  | readonly ["lookup" | "pop" | "delete", key: string, want: string]
  /** One key, or none for the first. */
  | readonly ["next", key: string | null, want: string]
  /** All keys in order, joined by commas. */
  | readonly ["walk", want: string]
  | readonly ["freeze", want: string]
  /** All batches of that size: `key=value` joined by blanks, batches by "; ". */
  | readonly ["lookupBatch" | "popBatch", size: number, want: string]
  | readonly ["updateBatch", keys: readonly string[], values: readonly string[], want: string]
  | readonly ["deleteBatch", keys: readonly string[], want: string];

export interface MapShape {
  readonly type: MapTypeName;
  readonly key: number;
  readonly value: number;
  readonly max: number;
  readonly flags?: number;
  readonly extra?: number;
}

export interface MapCase extends MapShape {
  readonly name: string;
  /** First Linux that answers so, where older ones differ. */
  readonly since?: string;
  readonly inners?: readonly MapShape[];
  readonly steps: readonly MapStep[];
}

const NO_PREALLOC = 1;
const RDONLY = 8;
const WRONLY = 16;
const ZERO_SEED = 64;
const INNER_MAP = 0x1000;

const ANY = 0;
const NOEXIST = 1;
const EXIST = 2;
const LOCK = 4;

/** Little-endian. */
function u32(n: number): string {
  return hex(n, 4);
}
function u64(n: number): string {
  return hex(n, 8);
}
function hex(n: number, bytes: number): string {
  let text = "";
  for (let i = 0; i < bytes; i++) text += (Math.floor(n / 256 ** i) % 256).toString(16).padStart(2, "0");
  return text;
}
/** LPM key: prefix length and IPv4 address. */
function prefix(text: string): string {
  const [address, length] = text.split("/");
  const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return u32(Number(length)) + bytes.join("");
}
/** One element as batches show it: u32 key and value. */
function pair(key: number, value: number): string {
  return `${u32(key)}=${u32(value)}`;
}
const ZERO8 = u64(0);

/** Rows that the preallocated, the lazy and the LRU form of a hash map share. */
function hashBasics(type: MapTypeName, flags: number, one: (text: string) => string): MapCase {
  return {
    name: `${type} flags ${flags}: insert, replace, delete`,
    type,
    key: 4,
    value: 8,
    max: 8,
    flags,
    steps: [
      ["lookup", u32(1), "ENOENT"],
      ["next", null, "ENOENT"],
      ["next", u32(9), "ENOENT"],
      ["update", u32(1), one(u64(11)), EXIST, "ENOENT"],
      ["update", u32(1), one(u64(11)), NOEXIST, "ok"],
      ["update", u32(1), one(u64(12)), NOEXIST, "EEXIST"],
      ["update", u32(1), one(u64(13)), EXIST, "ok"],
      ["lookup", u32(1), one(u64(13))],
      ["update", u32(1), one(u64(14)), ANY, "ok"],
      ["lookup", u32(1), one(u64(14))],
      ["update", u32(1), one(u64(15)), 3, "EINVAL"],
      ["update", u32(1), one(u64(15)), LOCK, "EINVAL"],
      ["update", u32(1), one(u64(15)), 8, "EINVAL"],
      ["next", null, u32(1)],
      ["next", u32(7), u32(1)],
      ["next", u32(1), "ENOENT"],
      ["delete", u32(2), "ENOENT"],
      ["delete", u32(1), "ok"],
      ["delete", u32(1), "ENOENT"],
      ["lookup", u32(1), "ENOENT"],
      ["update", u32(5), one(u64(55)), ANY, "ok"],
      ["pop", u32(5), one(u64(55))],
      ["pop", u32(5), "ENOENT"],
    ],
  };
}

const same = (text: string) => text;
const eachCpu = (text: string) => `*${text}`;

export const MAP_CASES: readonly MapCase[] = [
  {
    name: "array: all elements are there and zero",
    type: "BPF_MAP_TYPE_ARRAY",
    key: 4,
    value: 6,
    max: 3,
    steps: [
      ["lookup", u32(0), "000000000000"],
      ["lookup", u32(3), "ENOENT"],
      ["update", u32(2), "010203040506", ANY, "ok"],
      ["update", u32(2), "010203040507", EXIST, "ok"],
      ["lookup", u32(2), "010203040507"],
      ["update", u32(2), "010203040506", NOEXIST, "EEXIST"],
      ["update", u32(3), "010203040506", ANY, "E2BIG"],
      ["update", u32(3), "010203040506", NOEXIST, "E2BIG"],
      ["update", u32(0), "010203040506", 3, "EINVAL"],
      ["update", u32(0), "010203040506", LOCK, "EINVAL"],
      ["update", u32(0), "010203040506", 8, "EINVAL"],
      ["delete", u32(0), "EINVAL"],
      ["delete", u32(9), "EINVAL"],
      ["pop", u32(0), "ENOTSUPP"],
      ["next", null, u32(0)],
      ["next", u32(0), u32(1)],
      ["next", u32(2), "ENOENT"],
      ["next", u32(77), u32(0)],
      ["walk", [0, 1, 2].map(u32).join()],
    ],
  },
  {
    name: "array: batches",
    type: "BPF_MAP_TYPE_ARRAY",
    key: 4,
    value: 4,
    max: 4,
    steps: [
      ["updateBatch", [u32(0), u32(3)], [u32(7), u32(9)], "2"],
      ["updateBatch", [u32(0), u32(4)], [u32(7), u32(9)], "E2BIG"],
      ["lookupBatch", 3, `${u32(0)}=${u32(7)} ${u32(1)}=${u32(0)} ${u32(2)}=${u32(0)}; ${u32(3)}=${u32(9)}`],
      ["lookupBatch", 4, `${u32(0)}=${u32(7)} ${u32(1)}=${u32(0)} ${u32(2)}=${u32(0)} ${u32(3)}=${u32(9)}; `],
      ["deleteBatch", [u32(0)], "ENOTSUPP"],
      ["popBatch", 2, "ENOTSUPP"],
    ],
  },
  {
    name: "array: frozen",
    since: "6.5",
    type: "BPF_MAP_TYPE_ARRAY",
    key: 4,
    value: 4,
    max: 1,
    steps: [
      ["update", u32(0), u32(5), ANY, "ok"],
      ["freeze", "ok"],
      ["freeze", "EPERM"],
      ["update", u32(0), u32(6), ANY, "EPERM"],
      ["delete", u32(0), "EPERM"],
      ["lookup", u32(0), u32(5)],
    ],
  },
  {
    name: "array: read-only for the host",
    since: "6.5",
    type: "BPF_MAP_TYPE_ARRAY",
    key: 4,
    value: 4,
    max: 1,
    flags: RDONLY,
    steps: [
      ["update", u32(0), u32(5), ANY, "EPERM"],
      ["lookup", u32(0), u32(0)],
      ["delete", u32(0), "EPERM"],
      ["updateBatch", [u32(0)], [u32(5)], "EPERM"],
      ["freeze", "EPERM"],
    ],
  },
  {
    name: "array: write-only for the host",
    type: "BPF_MAP_TYPE_ARRAY",
    key: 4,
    value: 4,
    max: 1,
    flags: WRONLY,
    steps: [
      ["update", u32(0), u32(5), ANY, "ok"],
      ["lookup", u32(0), "EPERM"],
      ["next", null, "EPERM"],
      ["lookupBatch", 1, "EPERM"],
    ],
  },
  {
    name: "percpu array",
    type: "BPF_MAP_TYPE_PERCPU_ARRAY",
    key: 4,
    value: 4,
    max: 2,
    steps: [
      ["lookup", u32(1), `*${ZERO8}`],
      ["update", u32(1), `*${u64(0x1122334455)}`, ANY, "ok"],
      ["lookup", u32(1), `*${u64(0x1122334455)}`],
      ["update", u32(1), `*${u64(1)}`, NOEXIST, "EEXIST"],
      ["update", u32(1), `*${u64(1)}`, LOCK, "EINVAL"],
      ["update", u32(2), `*${u64(1)}`, ANY, "E2BIG"],
      ["delete", u32(1), "EINVAL"],
      ["walk", [0, 1].map(u32).join()],
      ["lookupBatch", 2, `${u32(0)}=*${ZERO8} ${u32(1)}=*${u64(0x1122334455)}; `],
    ],
  },
  hashBasics("BPF_MAP_TYPE_HASH", 0, same),
  hashBasics("BPF_MAP_TYPE_HASH", NO_PREALLOC, same),
  hashBasics("BPF_MAP_TYPE_LRU_HASH", 0, same),
  hashBasics("BPF_MAP_TYPE_PERCPU_HASH", 0, eachCpu),
  hashBasics("BPF_MAP_TYPE_PERCPU_HASH", NO_PREALLOC, eachCpu),
  hashBasics("BPF_MAP_TYPE_LRU_PERCPU_HASH", 0, eachCpu),
  ...[0, NO_PREALLOC].map(
    (flags): MapCase => ({
      name: `hash flags ${flags}: full`,
      type: "BPF_MAP_TYPE_HASH",
      key: 4,
      value: 4,
      max: 2,
      flags,
      steps: [
        ["update", u32(1), u32(1), ANY, "ok"],
        ["update", u32(2), u32(2), ANY, "ok"],
        ["update", u32(3), u32(3), ANY, "E2BIG"],
        ["update", u32(3), u32(3), EXIST, "ENOENT"],
        ["update", u32(2), u32(22), ANY, "ok"],
        ["update", u32(2), u32(23), EXIST, "ok"],
        ["update", u32(2), u32(24), NOEXIST, "EEXIST"],
        ["delete", u32(1), "ok"],
        ["update", u32(3), u32(3), ANY, "ok"],
        ["lookup", u32(2), u32(23)],
        ["lookup", u32(3), u32(3)],
        ["lookup", u32(1), "ENOENT"],
      ],
    }),
  ),
  {
    name: "hash: the kernel's order with BPF_F_ZERO_SEED (jhash2)",
    type: "BPF_MAP_TYPE_HASH",
    key: 4,
    value: 4,
    max: 16,
    flags: ZERO_SEED,
    steps: [
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(
        (n): MapStep => ["update", u32(n), u32(n * 10), ANY, "ok"],
      ),
      ["walk", [10, 4, 5, 7, 2, 1, 8, 12, 11, 9, 6, 3].map(u32).join()],
      ["update", u32(7), u32(77), ANY, "ok"],
      ["walk", [10, 4, 5, 7, 2, 1, 8, 12, 11, 9, 6, 3].map(u32).join()],
    ],
  },
  {
    name: "hash: odd key size in the kernel's order (jhash)",
    type: "BPF_MAP_TYPE_HASH",
    key: 13,
    value: 1,
    max: 8,
    flags: ZERO_SEED,
    steps: [
      ...["00", "01", "02", "03", "04"].map((n): MapStep => ["update", `${n.repeat(12)}ff`, n, ANY, "ok"]),
      ["walk", ["04", "00", "01", "02", "03"].map((n) => `${n.repeat(12)}ff`).join()],
    ],
  },
  {
    name: "hash: batches go by bucket",
    type: "BPF_MAP_TYPE_HASH",
    key: 4,
    value: 4,
    max: 4,
    flags: ZERO_SEED,
    steps: [
      ["updateBatch", [1, 2, 3, 4].map(u32), [10, 20, 30, 40].map(u32), "4"],
      ["updateBatch", [4, 5].map(u32), [44, 50].map(u32), "E2BIG"],
      ["lookup", u32(4), u32(44)],
      ["lookupBatch", 4, `${pair(4, 44)} ${pair(2, 20)} ${pair(3, 30)} ${pair(1, 10)}`],
      ["lookupBatch", 3, `${pair(4, 44)} ${pair(2, 20)}; ${pair(3, 30)} ${pair(1, 10)}`],
      ["lookupBatch", 1, "ENOSPC"],
      ["deleteBatch", [1, 9, 2].map(u32), "1"],
      ["popBatch", 10, `${pair(4, 44)} ${pair(2, 20)} ${pair(3, 30)}`],
      ["walk", ""],
    ],
  },
  {
    name: "lru: never more than max_entries, batches and pops as a hash",
    type: "BPF_MAP_TYPE_LRU_HASH",
    key: 4,
    value: 4,
    max: 4096,
    flags: ZERO_SEED,
    steps: [
      ["update", u32(1), u32(1), ANY, "ok"],
      ["update", u32(2), u32(2), ANY, "ok"],
      ["popBatch", 5, `${pair(1, 1)} ${pair(2, 2)}`],
    ],
  },
  {
    name: "lpm trie: longest prefix, exact delete, post-order",
    type: "BPF_MAP_TYPE_LPM_TRIE",
    key: 8,
    value: 4,
    max: 6,
    flags: NO_PREALLOC,
    steps: [
      ["next", null, "ENOENT"],
      ["lookup", prefix("1.2.3.4/32"), "ENOENT"],
      ["update", prefix("192.168.0.0/16"), u32(16), ANY, "ok"],
      ["update", prefix("192.168.0.0/24"), u32(24), ANY, "ok"],
      ["update", prefix("192.168.128.0/24"), u32(124), ANY, "ok"],
      ["update", prefix("192.168.1.0/24"), u32(1), ANY, "ok"],
      ["walk", ["192.168.0.0/24", "192.168.1.0/24", "192.168.128.0/24", "192.168.0.0/16"].map(prefix).join()],
      ["lookup", prefix("192.168.1.77/32"), u32(1)],
      ["lookup", prefix("192.168.77.1/32"), u32(16)],
      ["lookup", prefix("192.168.0.0/20"), u32(16)],
      ["lookup", prefix("192.0.0.0/8"), "ENOENT"],
      ["lookup", prefix("10.0.0.1/32"), "ENOENT"],
      ["lookup", prefix("10.0.0.1/33"), "ENOENT"],
      ["update", prefix("10.0.0.1/33"), u32(1), ANY, "EINVAL"],
      ["delete", prefix("10.0.0.1/33"), "EINVAL"],
      ["update", prefix("192.168.0.0/24"), u32(1), NOEXIST, "EEXIST"],
      ["update", prefix("192.168.0.0/24"), u32(25), EXIST, "ok"],
      ["update", prefix("192.168.0.0/25"), u32(25), EXIST, "ENOENT"],
      ["update", prefix("192.168.0.0/25"), u32(25), 3, "EINVAL"],
      ["update", prefix("192.168.0.0/25"), u32(25), LOCK, "EINVAL"],
      ["update", prefix("0.0.0.0/0"), u32(1000), ANY, "ok"],
      ["update", prefix("192.168.1.9/32"), u32(9), ANY, "ok"],
      ["update", prefix("192.168.1.8/32"), u32(8), ANY, "ENOSPC"],
      ["lookup", prefix("10.0.0.1/32"), u32(1000)],
      ["next", prefix("9.9.9.9/31"), prefix("192.168.0.0/24")],
      ["next", prefix("9.9.9.9/77"), prefix("192.168.0.0/24")],
      ["delete", prefix("192.168.0.0/17"), "ENOENT"],
      ["delete", prefix("192.168.1.0/24"), "ok"],
      ["lookup", prefix("192.168.1.77/32"), u32(16)],
      ["lookup", prefix("192.168.1.9/32"), u32(9)],
      ["delete", prefix("192.168.0.0/16"), "ok"],
      ["lookup", prefix("192.168.77.1/32"), u32(1000)],
      ["walk", ["192.168.0.0/24", "192.168.1.9/32", "192.168.128.0/24", "0.0.0.0/0"].map(prefix).join()],
      ["pop", prefix("0.0.0.0/0"), "ENOTSUPP"],
      ["deleteBatch", [prefix("0.0.0.0/0")], "1"],
    ],
  },
  {
    name: "queue",
    type: "BPF_MAP_TYPE_QUEUE",
    key: 0,
    value: 4,
    max: 2,
    steps: [
      ["lookup", "", "ENOENT"],
      ["pop", "", "ENOENT"],
      ["update", "", u32(1), ANY, "ok"],
      ["update", "", u32(2), ANY, "ok"],
      ["update", "", u32(3), ANY, "E2BIG"],
      ["update", "", u32(3), NOEXIST, "EINVAL"],
      ["update", "", u32(3), LOCK, "EINVAL"],
      ["lookup", "", u32(1)],
      ["update", "", u32(3), EXIST, "ok"],
      ["pop", "", u32(2)],
      ["pop", "", u32(3)],
      ["pop", "", "ENOENT"],
      ["next", null, "EINVAL"],
      ["delete", "", "EINVAL"],
    ],
  },
  {
    name: "stack",
    type: "BPF_MAP_TYPE_STACK",
    key: 0,
    value: 4,
    max: 2,
    steps: [
      ["pop", "", "ENOENT"],
      ["update", "", u32(1), ANY, "ok"],
      ["update", "", u32(2), ANY, "ok"],
      ["update", "", u32(3), ANY, "E2BIG"],
      ["lookup", "", u32(2)],
      ["update", "", u32(3), EXIST, "ok"],
      ["pop", "", u32(3)],
      ["pop", "", u32(2)],
      ["pop", "", "ENOENT"],
    ],
  },
  {
    name: "bloom filter",
    type: "BPF_MAP_TYPE_BLOOM_FILTER",
    key: 0,
    value: 4,
    max: 10,
    flags: ZERO_SEED,
    steps: [
      ["lookup", u32(1), "ENOENT"],
      ["update", "", u32(1), ANY, "ok"],
      ["update", "", u32(2), ANY, "ok"],
      ["update", "", u32(2), NOEXIST, "EINVAL"],
      ["update", "", u32(2), EXIST, "EINVAL"],
      ["lookup", u32(1), u32(1)],
      ["lookup", u32(2), u32(2)],
      ["lookup", u32(3), "ENOENT"],
      ["next", null, "EOPNOTSUPP"],
      ["delete", "", "EOPNOTSUPP"],
    ],
  },
  {
    name: "ring buffer has no elements",
    type: "BPF_MAP_TYPE_RINGBUF",
    key: 0,
    value: 0,
    max: 4096,
    steps: [
      ["lookup", "", "ENOTSUPP"],
      ["delete", "", "ENOTSUPP"],
      ["next", null, "ENOTSUPP"],
    ],
  },
  {
    name: "perf event array",
    type: "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    key: 4,
    value: 4,
    max: 64,
    steps: [
      ["lookup", u32(40), "ENOTSUPP"],
      ["delete", u32(40), "ENOENT"],
      ["delete", u32(64), "E2BIG"],
      ["update", u32(64), u32(0), ANY, "E2BIG"],
      ["update", u32(40), u32(0), NOEXIST, "EINVAL"],
      ["next", u32(62), u32(63)],
      ["next", u32(63), "ENOENT"],
    ],
  },
  {
    name: "cgroup array",
    type: "BPF_MAP_TYPE_CGROUP_ARRAY",
    key: 4,
    value: 4,
    max: 2,
    steps: [
      ["lookup", u32(0), "ENOTSUPP"],
      ["delete", u32(0), "ENOENT"],
      ["delete", u32(2), "E2BIG"],
      ["update", u32(2), u32(0), ANY, "E2BIG"],
      ["next", null, u32(0)],
    ],
  },
  {
    name: "prog array: empty",
    type: "BPF_MAP_TYPE_PROG_ARRAY",
    key: 4,
    value: 4,
    max: 2,
    steps: [
      ["lookup", u32(0), "ENOENT"],
      ["lookup", u32(2), "ENOENT"],
      ["delete", u32(0), "ENOENT"],
      ["delete", u32(2), "E2BIG"],
      ["update", u32(2), u32(0), ANY, "E2BIG"],
      ["update", u32(0), "ffffff7f", ANY, "EBADF"],
      ["update", u32(0), "ffffff7f", EXIST, "EINVAL"],
      ["walk", [0, 1].map(u32).join()],
      ["lookupBatch", 1, "ENOTSUPP"],
    ],
  },
  {
    name: "devmap (interface 1 is lo)",
    type: "BPF_MAP_TYPE_DEVMAP",
    key: 4,
    value: 4,
    max: 2,
    steps: [
      ["lookup", u32(0), "ENOENT"],
      ["update", u32(0), u32(1), ANY, "ok"],
      ["lookup", u32(0), u32(1)],
      ["update", u32(0), u32(1), NOEXIST, "EEXIST"],
      ["update", u32(2), u32(1), ANY, "E2BIG"],
      ["update", u32(0), u32(1), 3, "EINVAL"],
      ["update", u32(0), u32(0), ANY, "ok"],
      ["lookup", u32(0), "ENOENT"],
      ["delete", u32(0), "ok"],
      ["delete", u32(2), "EINVAL"],
      ["walk", [0, 1].map(u32).join()],
    ],
  },
  {
    name: "devmap with program: none",
    type: "BPF_MAP_TYPE_DEVMAP",
    key: 4,
    value: 8,
    max: 2,
    steps: [
      ["update", u32(0), `${u32(1)}${u32(0)}`, ANY, "ok"],
      ["lookup", u32(0), `${u32(1)}${u32(0)}`],
      ["update", u32(0), `${u32(1)}ffffff7f`, ANY, "EINVAL"],
      ["update", u32(0), `${u32(0)}ffffff7f`, ANY, "EINVAL"],
    ],
  },
  {
    name: "devmap hash",
    type: "BPF_MAP_TYPE_DEVMAP_HASH",
    key: 4,
    value: 4,
    max: 1,
    steps: [
      ["next", null, "ENOENT"],
      ["update", u32(77), u32(1), EXIST, "ok"],
      ["update", u32(77), u32(1), NOEXIST, "EEXIST"],
      ["update", u32(77), u32(0), ANY, "EINVAL"],
      ["update", u32(78), u32(1), ANY, "E2BIG"],
      ["lookup", u32(77), u32(1)],
      ["next", null, u32(77)],
      ["next", u32(77), "ENOENT"],
      ["delete", u32(78), "ENOENT"],
      ["delete", u32(77), "ok"],
      ["lookup", u32(77), "ENOENT"],
    ],
  },
  {
    name: "cpumap",
    type: "BPF_MAP_TYPE_CPUMAP",
    key: 4,
    value: 4,
    max: 9,
    steps: [
      ["lookup", u32(0), "ENOENT"],
      ["update", u32(0), u32(192), ANY, "ok"],
      ["lookup", u32(0), u32(192)],
      ["update", u32(0), u32(192), NOEXIST, "EEXIST"],
      ["update", u32(0), u32(16385), ANY, "EOVERFLOW"],
      ["update", u32(8), u32(192), ANY, "ENODEV"],
      ["update", u32(9), u32(192), ANY, "E2BIG"],
      ["update", u32(0), u32(0), ANY, "ok"],
      ["lookup", u32(0), "ENOENT"],
      ["delete", u32(9), "EINVAL"],
      ["delete", u32(0), "ok"],
      ["next", u32(8), "ENOENT"],
    ],
  },
  {
    name: "xskmap: empty",
    type: "BPF_MAP_TYPE_XSKMAP",
    key: 4,
    value: 4,
    max: 2,
    steps: [
      ["lookup", u32(0), "EOPNOTSUPP"],
      ["delete", u32(0), "ok"],
      ["delete", u32(2), "EINVAL"],
      ["update", u32(2), u32(0), ANY, "E2BIG"],
      ["update", u32(0), u32(0), 3, "EINVAL"],
      ["walk", [0, 1].map(u32).join()],
    ],
  },
  {
    name: "sockmap: empty",
    type: "BPF_MAP_TYPE_SOCKMAP",
    key: 4,
    value: 8,
    max: 2,
    steps: [
      ["lookup", u32(0), "ENOENT"],
      ["delete", u32(0), "EINVAL"],
      ["delete", u32(2), "EINVAL"],
      ["update", u32(0), "ffffffffffffffff", ANY, "EINVAL"],
      ["walk", [0, 1].map(u32).join()],
    ],
  },
  {
    name: "sockmap with 4-byte values cannot be read",
    type: "BPF_MAP_TYPE_SOCKMAP",
    key: 4,
    value: 4,
    max: 2,
    steps: [["lookup", u32(0), "ENOSPC"]],
  },
  {
    name: "sockhash: empty",
    type: "BPF_MAP_TYPE_SOCKHASH",
    key: 6,
    value: 8,
    max: 2,
    steps: [
      ["lookup", "010203040506", "ENOENT"],
      ["delete", "010203040506", "ENOENT"],
      ["next", null, "ENOENT"],
    ],
  },
  {
    name: "reuseport array: empty",
    type: "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY",
    key: 4,
    value: 8,
    max: 2,
    steps: [
      ["lookup", u32(0), "ENOENT"],
      ["delete", u32(0), "ENOENT"],
      ["delete", u32(2), "E2BIG"],
      ["update", u32(2), u64(1), ANY, "E2BIG"],
      ["update", u32(0), u64(1), 3, "EINVAL"],
      ["walk", [0, 1].map(u32).join()],
    ],
  },
  {
    name: "stack trace: empty",
    type: "BPF_MAP_TYPE_STACK_TRACE",
    key: 4,
    value: 16,
    max: 3,
    steps: [
      ["lookup", u32(0), "ENOENT"],
      ["lookup", u32(9), "ENOENT"],
      ["update", u32(0), "00".repeat(16), ANY, "EINVAL"],
      ["delete", u32(3), "ENOENT"],
      ["delete", u32(4), "E2BIG"],
      ["next", null, "ENOENT"],
    ],
  },
  {
    name: "cgroup storage: empty",
    type: "BPF_MAP_TYPE_CGROUP_STORAGE",
    key: 8,
    value: 4,
    max: 0,
    steps: [
      ["lookup", u64(1), "ENOENT"],
      ["update", u64(1), u32(1), ANY, "ENOENT"],
      ["update", u64(1), u32(1), NOEXIST, "EINVAL"],
      ["delete", u64(1), "EINVAL"],
      ["next", null, "ENOENT"],
    ],
  },
  {
    name: "array of maps",
    type: "BPF_MAP_TYPE_ARRAY_OF_MAPS",
    key: 4,
    value: 4,
    max: 2,
    inners: [
      { type: "BPF_MAP_TYPE_ARRAY", key: 4, value: 4, max: 3 },
      { type: "BPF_MAP_TYPE_ARRAY", key: 4, value: 4, max: 3 },
      { type: "BPF_MAP_TYPE_ARRAY", key: 4, value: 4, max: 4 },
      { type: "BPF_MAP_TYPE_ARRAY", key: 4, value: 8, max: 3 },
      { type: "BPF_MAP_TYPE_HASH", key: 4, value: 4, max: 3 },
      { type: "BPF_MAP_TYPE_ARRAY", key: 4, value: 4, max: 3, flags: RDONLY },
      { type: "BPF_MAP_TYPE_ARRAY", key: 4, value: 4, max: 3, flags: INNER_MAP },
    ],
    steps: [
      ["lookup", u32(0), "ENOENT"],
      ["update", u32(0), "@1", ANY, "ok"],
      ["lookup", u32(0), "@1"],
      ["update", u32(0), "@0", EXIST, "EINVAL"],
      ["update", u32(0), "@2", ANY, "EINVAL"],
      ["update", u32(0), "@3", ANY, "EINVAL"],
      ["update", u32(0), "@4", ANY, "EINVAL"],
      ["update", u32(1), "@5", ANY, "ok"],
      ["update", u32(1), "@6", ANY, "EINVAL"],
      ["update", u32(2), "@0", ANY, "E2BIG"],
      ["update", u32(0), "ffffff7f", ANY, "EBADF"],
      ["update", u32(0), "@0", ANY, "ok"],
      ["lookup", u32(0), "@0"],
      ["delete", u32(0), "ok"],
      ["delete", u32(0), "ENOENT"],
      ["delete", u32(2), "E2BIG"],
      ["walk", [0, 1].map(u32).join()],
      ["pop", u32(1), "ENOTSUPP"],
    ],
  },
  {
    name: "hash of maps",
    type: "BPF_MAP_TYPE_HASH_OF_MAPS",
    key: 8,
    value: 4,
    max: 2,
    inners: [
      { type: "BPF_MAP_TYPE_HASH", key: 4, value: 4, max: 3 },
      { type: "BPF_MAP_TYPE_HASH", key: 4, value: 4, max: 99 },
      { type: "BPF_MAP_TYPE_HASH", key: 4, value: 4, max: 3, flags: NO_PREALLOC },
    ],
    steps: [
      ["lookup", u64(5), "ENOENT"],
      ["update", u64(5), "@1", EXIST, "ENOENT"],
      ["update", u64(5), "@1", ANY, "ok"],
      ["lookup", u64(5), "@1"],
      ["update", u64(5), "@0", NOEXIST, "EEXIST"],
      ["update", u64(5), "@0", EXIST, "ok"],
      ["lookup", u64(5), "@0"],
      ["update", u64(6), "@2", ANY, "EINVAL"],
      ["update", u64(6), "@0", ANY, "ok"],
      ["update", u64(7), "@0", ANY, "E2BIG"],
      ["delete", u64(7), "ENOENT"],
      ["delete", u64(5), "ok"],
      ["lookup", u64(5), "ENOENT"],
      ["pop", u64(6), "ENOTSUPP"],
    ],
  },
];

/** Types whose creation needs nothing but numbers. */
export const PLAIN_TYPES: readonly MapTypeName[] = [
  "BPF_MAP_TYPE_HASH",
  "BPF_MAP_TYPE_ARRAY",
  "BPF_MAP_TYPE_PROG_ARRAY",
  "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
  "BPF_MAP_TYPE_PERCPU_HASH",
  "BPF_MAP_TYPE_PERCPU_ARRAY",
  "BPF_MAP_TYPE_STACK_TRACE",
  "BPF_MAP_TYPE_CGROUP_ARRAY",
  "BPF_MAP_TYPE_LRU_HASH",
  "BPF_MAP_TYPE_LRU_PERCPU_HASH",
  "BPF_MAP_TYPE_LPM_TRIE",
  "BPF_MAP_TYPE_ARRAY_OF_MAPS",
  "BPF_MAP_TYPE_HASH_OF_MAPS",
  "BPF_MAP_TYPE_DEVMAP",
  "BPF_MAP_TYPE_SOCKMAP",
  "BPF_MAP_TYPE_CPUMAP",
  "BPF_MAP_TYPE_XSKMAP",
  "BPF_MAP_TYPE_SOCKHASH",
  "BPF_MAP_TYPE_CGROUP_STORAGE",
  "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY",
  "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE",
  "BPF_MAP_TYPE_QUEUE",
  "BPF_MAP_TYPE_STACK",
  "BPF_MAP_TYPE_SK_STORAGE",
  "BPF_MAP_TYPE_DEVMAP_HASH",
  "BPF_MAP_TYPE_RINGBUF",
  "BPF_MAP_TYPE_INODE_STORAGE",
  "BPF_MAP_TYPE_TASK_STORAGE",
  "BPF_MAP_TYPE_BLOOM_FILTER",
  "BPF_MAP_TYPE_USER_RINGBUF",
  "BPF_MAP_TYPE_CGRP_STORAGE",
  "BPF_MAP_TYPE_ARENA",
];
