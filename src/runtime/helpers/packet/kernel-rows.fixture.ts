// One table: small programs around the packet helpers, written as steps, so that the same row can be run by the kernel
// (as instructions) and by the helpers here (step by step). What Linux answered is in kernel-rows.linux-6.18.json.
import { HELPERS, type HelperName, type ProgramTypeName } from "../../../abi/index.ts";
import { toHex } from "../../../base/index.ts";
import { SK_BUFF as S } from "./sk-buff.ts";

/** A helper's argument: a number (sign-extended from 32 bits), all 64 bits, the context, or an offset in scratch memory. */
export type Arg = number | bigint | "ctx" | { readonly scratch: number };

export type Step =
  | { readonly call: HelperName; readonly args: readonly Arg[] }
  | { readonly load: number; readonly size: 1 | 2 | 4 | 8 }
  | { readonly store: number; readonly value: number }
  /** A byte of the packet through data and data_end; -1 outside. */
  | { readonly packet: number }
  /** LD_ABS; outside the packet the program ends there. */
  | { readonly absolute: number; readonly size: 1 | 2 | 4 };

/** A program as a row of steps. Every step's r0 is kept; the scratch memory is compared too. */
export interface PacketRow {
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly data: string;
  readonly ctx?: string;
  readonly scratch?: string;
  readonly frags?: true;
  readonly steps: readonly Step[];
}

/** Results lie at 8 × step, the scratch bytes behind them. */
export const SCRATCH_AT = 1024;
export const VALUE_BYTES = 4096;
const XDP_FRAGS = 1 << 5;

export const progFlags = (row: PacketRow): number => (row.frags ? XDP_FRAGS : 0);

/** The row as instructions; the wide load names map 0 (`mapId`). */
export function toInsns(row: PacketRow, mapId: number): Uint8Array {
  const out: number[] = [];
  const insn = (op: number, dst: number, src: number, off: number, imm: number): void => {
    out.push(op, dst | (src << 4), off & 0xff, (off >> 8) & 0xff);
    out.push(imm & 0xff, (imm >> 8) & 0xff, (imm >> 16) & 0xff, (imm >> 24) & 0xff);
  };
  const wide = (dst: number, value: bigint, src = 0): void => {
    insn(0x18, dst, src, 0, Number(BigInt.asIntN(32, value)));
    insn(0, 0, 0, 0, Number(BigInt.asIntN(32, value >> 32n)));
  };
  insn(0xbf, 6, 1, 0, 0);
  wide(7, BigInt(mapId), 2);
  const dataFields = row.type === "BPF_PROG_TYPE_XDP" ? [0, 4] : [S.data, S.dataEnd];
  const LDX = { 1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79 } as const;
  for (const [i, step] of row.steps.entries()) {
    if ("call" in step) {
      for (const [n, arg] of step.args.entries()) {
        if (arg === "ctx") insn(0xbf, n + 1, 6, 0, 0);
        else if (typeof arg === "bigint") wide(n + 1, arg);
        else if (typeof arg === "number") insn(0xb7, n + 1, 0, 0, arg);
        else {
          insn(0xbf, n + 1, 7, 0, 0);
          insn(0x07, n + 1, 0, 0, SCRATCH_AT + arg.scratch);
        }
      }
      insn(0x85, 0, 0, 0, HELPERS[step.call].id);
    } else if ("load" in step) insn(LDX[step.size], 0, 6, step.load, 0);
    else if ("store" in step) {
      insn(0xb7, 0, 0, 0, step.value);
      insn(0x63, 6, 0, step.store, 0);
    } else if ("absolute" in step) {
      insn({ 1: 0x30, 2: 0x28, 4: 0x20 }[step.size], 0, 0, 0, step.absolute);
    } else {
      insn(0x61, 2, 6, dataFields[0], 0);
      insn(0x61, 3, 6, dataFields[1], 0);
      insn(0xbf, 4, 2, 0, 0);
      insn(0x07, 4, 0, 0, step.packet + 1);
      insn(0xb7, 0, 0, 0, -1);
      insn(0x2d, 4, 3, 1, 0);
      insn(0x71, 0, 2, step.packet, 0);
    }
    insn(0x7b, 7, 0, 8 * i, 0);
  }
  insn(0xb7, 0, 0, 0, 1);
  insn(0x95, 0, 0, 0, 0);
  return Uint8Array.from(out);
}

const MACS = "000000000000 020000000002";
const IPV4 = `${MACS} 0800 4500002c 12340000 40110000 0a000001 0a000002 1234 0035 0018 abcd 00112233445566778899aabbccddeeff`;
const IPV6 = `${MACS} 86dd 60012345 0018 11 40 ${"20010db8000000000000000000000001".repeat(2)} 1234 0035 0018 abcd 00112233445566778899aabbccddeeff`;
const VLAN = `${MACS} 8100 2005 0800 4502002c 12340000 40110000 0a000001 0a000002 1234 0035 0018 abcd 00112233445566778899aabbccddeeff`;
const QINQ = `${MACS} 88a8 0007 8100 2005 0800 4500002c 12340000 40110000 0a000001 0a000002 1234 0035 0018 abcd 0011223344`;
const ARP = `${MACS} 0806 0001080006040001 020000000002 0a000001 000000000000 0a000002`;
const LLC = `${MACS} 0010 aaaa 0300 000008004500002c12340000`;
const ECT = (tos: string): string => IPV4.replace("4500002c", `45${tos}002c`);
const ECT6 = (word: string): string => IPV6.replace("60012345", word);

const XDP = "BPF_PROG_TYPE_XDP";
const TC = "BPF_PROG_TYPE_SCHED_CLS";
const FILTER = "BPF_PROG_TYPE_SOCKET_FILTER";
const CGROUP = "BPF_PROG_TYPE_CGROUP_SKB";
const LWT = "BPF_PROG_TYPE_LWT_XMIT";

const call = (name: HelperName, ...args: Arg[]): Step => ({ call: name, args });
const load = (offset: number, size: 1 | 2 | 4 | 8 = 4): Step => ({ load: offset, size });
const at = (scratch: number): Arg => ({ scratch });
const bytes = (...offsets: number[]): Step[] => offsets.map((packet) => ({ packet }));

/** A 32-bit context field, little endian, in an otherwise zero context. */
function ctxOf(size: number, fields: Record<number, number>): string {
  const view = new DataView(new ArrayBuffer(size));
  for (const [offset, value] of Object.entries(fields)) view.setUint32(Number(offset), value, true);
  return toHex(new Uint8Array(view.buffer));
}
const skb = (fields: Record<number, number>): string => ctxOf(192, fields);
const xdpMd = (data: number, dataEnd: number): string => ctxOf(24, { 0: data, 4: dataEnd });

/** One row for every value. */
function each<T>(values: readonly T[], row: (value: T) => PacketRow): PacketRow[] {
  return values.map(row);
}

const ALL_SKB_FIELDS: Step[] = [
  ...[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68].map((offset) => load(offset)),
  load(S.gsoSegs),
  load(S.gsoSize),
];
const TC_FIELDS: Step[] = [
  ...ALL_SKB_FIELDS,
  load(S.tcClassid),
  load(S.napiId),
  load(S.tstamp, 8),
  load(S.wireLen),
  load(S.tstampType, 1),
  load(S.hwtstamp, 8),
];
const SHAPE: Step[] = [
  load(S.len),
  load(S.protocol),
  load(S.vlanPresent),
  load(S.vlanTci),
  load(S.vlanProto),
];
const long = (size: number): string =>
  toHex(Uint8Array.from({ length: size }, (_, i) => (i < 14 ? 0 : i * 7)));

export const PACKET_ROWS: readonly PacketRow[] = [
  // Contexts.
  ...each(
    [IPV4, IPV6, VLAN, QINQ, ARP, LLC, `ffffffffffff${IPV4.slice(12)}`, `0200000000ff${IPV4.slice(12)}`],
    (data) => ({
      name: `fields of ${data.slice(0, 34)}…`,
      type: TC,
      data,
      steps: [...TC_FIELDS, ...bytes(0, 12, 13, 14, 30)],
    }),
  ),
  ...each([IPV4, IPV6, ARP], (data) => ({
    name: `socket filter fields of ${data.slice(26, 31)}`,
    type: FILTER,
    data,
    steps: ALL_SKB_FIELDS,
  })),
  ...each([IPV4, IPV6, ARP], (data) => ({
    name: `cgroup fields of ${data.slice(26, 31)}`,
    type: CGROUP,
    data,
    steps: [
      ...ALL_SKB_FIELDS,
      load(S.family),
      load(S.remoteIp4),
      load(S.localIp4),
      load(S.remotePort),
      ...bytes(0, 1, 9),
    ],
  })),
  ...each([IPV4, IPV6], (data) => ({
    name: `lwt fields of ${data.slice(26, 31)}`,
    type: LWT,
    data,
    steps: [...ALL_SKB_FIELDS, ...bytes(0, 1, 9)],
  })),
  {
    name: "a context goes in and comes back",
    type: TC,
    data: IPV4,
    ctx: skb({
      8: 0x11223344,
      32: 7,
      36: 1,
      40: 1,
      48: 1,
      64: 5,
      152: 99,
      160: 1000,
      164: 3,
      176: 500,
      184: 1,
    }),
    steps: [
      ...TC_FIELDS,
      { store: S.mark, value: 77 },
      { store: S.priority, value: 9 },
      { store: S.cb, value: 4 },
    ],
  },
  ...each([0, 4, 12, 16, 44, 68, 72, 76, 80, 84, 140, 144, 160, 168, 172, 180], (offset) => ({
    name: `context byte ${offset} is not the caller's`,
    type: TC,
    data: IPV4,
    ctx: skb({ [offset]: 1 }),
    steps: [],
  })),
  ...each([57, 58, 65536, 65537], (value) => ({
    name: `wire_len ${value}`,
    type: TC,
    data: IPV4,
    ctx: skb({ 160: value }),
    steps: [load(S.wireLen)],
  })),
  { name: "gso_segs too big", type: TC, data: IPV4, ctx: skb({ 164: 65536 }), steps: [] },
  ...each([0, 13, 14, 33, 34, 58], (size) => ({
    name: `IPv4 cut to ${size} bytes`,
    type: TC,
    data: IPV4.replaceAll(" ", "").slice(0, 2 * size),
    steps: [load(S.len)],
  })),
  ...each([13, 14, 53, 54], (size) => ({
    name: `IPv6 cut to ${size} bytes`,
    type: FILTER,
    data: IPV6.replaceAll(" ", "").slice(0, 2 * size),
    steps: [load(S.len)],
  })),
  ...each([13, 14, 15], (size) => ({
    name: `XDP frame of ${size} bytes`,
    type: XDP,
    data: IPV4.replaceAll(" ", "").slice(0, 2 * size),
    steps: [load(12), load(16), ...bytes(0, 13, 14)],
  })),
  ...each(
    [
      [0, 58],
      [4, 58],
      [8, 30],
      [3, 58],
      [216, 300],
      [220, 300],
      [252, 300],
      [44, 58],
      [48, 58],
      [20, 10],
    ] as const,
    ([data, end]) => ({
      name: `xdp_md data ${data} data_end ${end}`,
      type: XDP,
      data: end > 58 ? long(300) : IPV4,
      ctx: xdpMd(data, end),
      steps: [call("xdp_get_buff_len", "ctx"), ...bytes(0, 13, 14, 25)],
    }),
  ),
  { name: "xdp_md data_meta set", type: XDP, data: IPV4, ctx: ctxOf(24, { 4: 58, 8: 4 }), steps: [] },
  { name: "xdp_md egress set", type: XDP, data: IPV4, ctx: ctxOf(24, { 4: 58, 20: 1 }), steps: [] },
  {
    name: "xdp_md queue without interface",
    type: XDP,
    data: IPV4,
    ctx: ctxOf(24, { 4: 58, 16: 1 }),
    steps: [],
  },
  {
    name: "xdp_md ingress lo",
    type: XDP,
    data: IPV4,
    ctx: ctxOf(24, { 4: 58, 12: 1 }),
    steps: [load(12), load(16)],
  },

  // XDP.
  ...each([-216, -217, -4, -1, 0, 1, 14, 43, 44, 45, 1000], (offset) => ({
    name: `xdp_adjust_head ${offset}`,
    type: XDP,
    data: IPV4,
    steps: [call("xdp_adjust_head", "ctx", offset), call("xdp_get_buff_len", "ctx"), ...bytes(0, 14, 57)],
  })),
  ...each([3462, 3463, 100, 1, 0, -1, -44, -45, -100], (offset) => ({
    name: `xdp_adjust_tail ${offset}`,
    type: XDP,
    data: IPV4,
    steps: [call("xdp_adjust_tail", "ctx", offset), call("xdp_get_buff_len", "ctx"), ...bytes(13, 57, 58)],
  })),
  ...each([-4, -8, -3, -216, -220, -252, -256, 4, 0], (offset) => ({
    name: `xdp_adjust_meta ${offset}`,
    type: XDP,
    data: IPV4,
    steps: [
      call("xdp_adjust_meta", "ctx", offset),
      call("xdp_adjust_head", "ctx", -8),
      call("xdp_adjust_meta", "ctx", 4),
      call("xdp_adjust_head", "ctx", 12),
      ...bytes(0, 1),
    ],
  })),
  {
    name: "head and tail grow and shrink in turn",
    type: XDP,
    data: IPV4,
    steps: [
      call("xdp_adjust_tail", "ctx", 20),
      call("xdp_adjust_head", "ctx", -20),
      call("xdp_adjust_tail", "ctx", -30),
      call("xdp_adjust_head", "ctx", 30),
      call("xdp_get_buff_len", "ctx"),
      ...bytes(0, 13, 37),
    ],
  },
  ...each(
    [
      [0, 8],
      [50, 8],
      [51, 8],
      [58, 1],
      [57, 1],
      [0x10000, 1],
      [0, 64],
    ] as const,
    ([offset, size]) => ({
      name: `xdp load and store ${size} at ${offset}`,
      type: XDP,
      data: IPV4,
      scratch: "f0f1f2f3f4f5f6f7",
      steps: [
        call("xdp_load_bytes", "ctx", offset, at(64), size),
        call("xdp_store_bytes", "ctx", offset, at(0), size),
      ],
    }),
  ),
  ...each(
    [
      [3516, 8],
      [3520, 8],
      [0, 64],
      [3600, 16],
      [8990, 10],
      [8991, 10],
      [3519, 1],
      [7610, 12],
    ] as const,
    ([offset, size]) => ({
      name: `fragments: load and store ${size} at ${offset}`,
      type: XDP,
      data: long(9000),
      frags: true as const,
      scratch: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
      steps: [
        call("xdp_get_buff_len", "ctx"),
        call("xdp_load_bytes", "ctx", offset, at(64), size),
        call("xdp_store_bytes", "ctx", offset, at(0), size),
        ...bytes(3000, 3519, 3520),
      ],
    }),
  ),
  ...each([-1, -1000, -1384, -1385, -5480, -5481, -8986, -8987, 1, 100, 2712, 2713, 5000], (offset) => ({
    name: `fragments: xdp_adjust_tail ${offset}`,
    type: XDP,
    data: long(9000),
    frags: true as const,
    steps: [
      call("xdp_adjust_tail", "ctx", offset),
      call("xdp_get_buff_len", "ctx"),
      call("xdp_adjust_tail", "ctx", -7),
      call("xdp_adjust_tail", "ctx", 9),
      call("xdp_get_buff_len", "ctx"),
    ],
  })),
  {
    name: "fragments: linear part chosen by data_end",
    type: XDP,
    data: long(200),
    ctx: xdpMd(0, 64),
    frags: true,
    steps: [call("xdp_get_buff_len", "ctx"), call("xdp_load_bytes", "ctx", 60, at(0), 16), ...bytes(63, 64)],
  },
  { name: "fragments: too many", type: XDP, data: long(73153), frags: true, steps: [] },
  {
    name: "fragments: as many as fit",
    type: XDP,
    data: long(73152),
    frags: true,
    steps: [call("xdp_get_buff_len", "ctx")],
  },
  { name: "xdp redirect", type: XDP, data: IPV4, steps: [call("redirect", 1, 0), call("redirect", 1, 1)] },
  ...each([0, 60, 65560, 70000, -50], (difference) => ({
    name: `xdp check_mtu ${difference}`,
    type: XDP,
    data: IPV4,
    scratch: "0000000001000000ff000100",
    steps: [
      call("check_mtu", "ctx", 0, at(0), difference, 0),
      call("check_mtu", "ctx", 1, at(4), difference, 0),
      call("check_mtu", "ctx", 1, at(8), difference, 0),
      call("check_mtu", "ctx", 1, at(8), difference, 1),
    ],
  })),

  // Bytes of an skb.
  ...each(
    [
      [0, 8],
      [50, 8],
      [51, 8],
      [57, 1],
      [58, 1],
      [-1, 4],
      [0, 64],
      [0, 58],
      [0x7fffffff, 1],
    ] as const,
    ([offset, size]) => ({
      name: `skb load and store ${size} at ${offset}`,
      type: TC,
      data: IPV4,
      scratch: "f0f1f2f3f4f5f6f7",
      steps: [
        call("skb_load_bytes", "ctx", offset, at(64), size),
        call("skb_store_bytes", "ctx", offset, at(0), size, 3),
        call("skb_store_bytes", "ctx", offset, at(0), size, 4),
        ...bytes(0, 57),
      ],
    }),
  ),
  ...each([FILTER, CGROUP, LWT] as const, (type) => ({
    name: `${type} loads bytes`,
    type,
    data: IPV4,
    steps: [
      call("skb_load_bytes", "ctx", 0, at(0), 8),
      call("skb_load_bytes", "ctx", 36, at(8), 8),
      call("skb_load_bytes", "ctx", 37, at(16), 8),
      ...(type === LWT
        ? []
        : [0, 1, 2].flatMap((start) => [
            call("skb_load_bytes_relative", "ctx", 0, at(32), 8, start),
            call("skb_load_bytes_relative", "ctx", 37, at(40), 8, start),
            call("skb_load_bytes_relative", "ctx", 50, at(48), 8, start),
            call("skb_load_bytes_relative", "ctx", 0x10000, at(56), 8, start),
          ])),
    ],
  })),
  ...each([0, 1, 58, 59, 5000, -1], (size) => ({
    name: `skb_pull_data ${size}`,
    type: TC,
    data: IPV4,
    steps: [call("skb_pull_data", "ctx", size), ...bytes(57)],
  })),
  ...each(
    [
      ECT("00"),
      ECT("01"),
      ECT("02"),
      ECT("03"),
      ECT("ff"),
      ECT("fe"),
      VLAN,
      ARP,
      ECT6("60012345"),
      ECT6("60112345"),
      ECT6("60212345"),
      ECT6("60312345"),
    ],
    (data) => ({
      name: `skb_ecn_set_ce ${data.slice(26, 44)}`,
      type: CGROUP,
      data,
      steps: [call("skb_ecn_set_ce", "ctx"), ...bytes(1, 10, 11), call("skb_ecn_set_ce", "ctx")],
    }),
  ),
  ...each([VLAN, QINQ, IPV4, IPV6], (data) => ({
    name: `skb_ecn_set_ce in tc ${data.slice(26, 44)}`,
    type: TC,
    data,
    steps: [call("skb_ecn_set_ce", "ctx"), ...bytes(14, 15, 16, 24, 25, 30)],
  })),
  ...([TC, FILTER] as const).flatMap((type) =>
    each(
      [
        0, 12, 14, 23, 40, 41, 43, 44, 54, 55, 57, 58, -1, -4, -14, -0x100000, -0xffff1, -0xfffd7, -0x100001,
        -0x200000, -0x1ffff2, -0x1fffc6, -0x1fffc8, -0x200001, -0x1000, -0xfff,
      ],
      (absolute) => ({
        name: `${type} LD_ABS ${absolute}`,
        type,
        data: IPV4,
        steps: ([1, 2, 4] as const).map((size) => ({ absolute, size })),
      }),
    ),
  ),

  // Checksums.
  ...each(
    [
      [24, 0, 0x1234, 0],
      [24, 0x0a000001, 0x0b000001, 4],
      [24, 0x1140, 0x0640, 2],
      [24, 1, 2, 0],
      [24, 1, 2, 3],
      [24, 1, 2, 0x10],
      [25, 1, 2, 2],
      [0x10000, 1, 2, 2],
      [56, 1, 2, 2],
      [57, 1, 2, 2],
      [58, 1, 2, 2],
      [24, 0, 0xffff, 2],
      [24, 0xffff, 0, 2],
      [24, 0, 0, 2],
      [24, -1, 0, 4],
      [24, 0, -1, 0],
      [24, 0, 0xffff, 0],
    ] as const,
    ([offset, from, to, flags]) => ({
      name: `l3_csum_replace ${offset} ${from} ${to} ${flags}`,
      type: TC,
      data: IPV4,
      steps: [
        call("l3_csum_replace", "ctx", offset, from, to, flags),
        call("l3_csum_replace", "ctx", offset, from, to, flags),
        ...bytes(24, 25),
      ],
    }),
  ),
  ...each(
    [0, 2, 4, 0x10, 0x12, 0x14, 0x20, 0x22, 0x24, 0x62, 0x64, 0x72, 0x92, 0x82, 0x102, 1, 3],
    (flags) => ({
      name: `l4_csum_replace flags ${flags}`,
      type: TC,
      data: IPV4,
      steps: [
        call("l4_csum_replace", "ctx", 40, (flags & 15) === 0 ? 0 : 0x3400, 0x5600, flags),
        ...bytes(40, 41),
        // 44 and 45 hold 0x2233 here: make the field zero and see what becomes of it.
        { store: S.mark, value: 1 },
        call("skb_store_bytes", "ctx", 44, at(0), 2, 0),
        call(
          "l4_csum_replace",
          "ctx",
          44,
          (flags & 15) === 0 ? 0 : 1,
          (flags & 15) === 0 ? 0xfffe : 0,
          flags,
        ),
        ...bytes(44, 45),
        call("l4_csum_replace", "ctx", 44, 0, 0, flags),
        ...bytes(44, 45),
      ],
    }),
  ),
  ...each(
    [
      [0, 8, 8, 8, 0],
      [0, 0, 8, 8, 0],
      [0, 8, 0, 0, 0],
      [0, 4, 8, 12, 0x1234],
      [0, 0, 0, 0, 0x12345678],
      [0, 3, 8, 4, 0],
      [0, 4, 8, 6, 0],
      [0, 0, 8, 8, -1],
      [0, 8, 8, 8, -1],
      [0, 8, 0, 0, -1],
      [0, 16, 0, 16, 0],
      [0, 64, 64, 60, 7],
      [128, 32, 128, 32, 0],
      [128, 32, 128, 0, 0],
      [128, 0, 128, 32, 0],
      [0, 600, 0, 600, 0],
      [0, 8, 0, 0, 0xffff],
    ] as const,
    ([from, fromSize, to, toSize, seed]) => ({
      name: `csum_diff ${from}+${fromSize} ${to}+${toSize} ${seed}`,
      type: XDP,
      data: IPV4,
      scratch: `${"0123456789abcdef".repeat(4)}ffff0000fffffffffedcba9876543210`,
      steps: [
        call("csum_diff", fromSize === 0 ? 0 : at(from), fromSize, toSize === 0 ? 0 : at(to), toSize, seed),
      ],
    }),
  ),
  {
    name: "csum_level and csum_update",
    type: TC,
    data: IPV4,
    steps: [
      ...[0, 2, 1, 0, 1, 0, 1, 1, 1, 0, 2, 0, 3, 0, 1, 2, 0, 4].map((level) =>
        call("csum_level", "ctx", level),
      ),
      call("csum_update", "ctx", 5),
    ],
  },

  // Shape.
  ...each([IPV4, VLAN, QINQ, ARP, LLC], (data) => ({
    name: `vlan pop of ${data.slice(26, 40)}`,
    type: TC,
    data,
    steps: [
      call("skb_vlan_pop", "ctx"),
      ...SHAPE,
      call("skb_vlan_pop", "ctx"),
      ...SHAPE,
      call("skb_vlan_pop", "ctx"),
      ...SHAPE,
      ...bytes(0, 6, 12, 13, 14),
    ],
  })),
  ...each([0x81, 0xa888, 0, 0x1234], (proto) => ({
    name: `vlan push ${proto}`,
    type: TC,
    data: IPV4,
    steps: [
      call("skb_vlan_push", "ctx", proto, 5),
      ...SHAPE,
      call("skb_vlan_push", "ctx", 0x81, 0x2007),
      ...SHAPE,
      call("skb_vlan_push", "ctx", 0xa888, 0),
      ...SHAPE,
      call("skb_load_bytes", "ctx", 0, at(0), 32),
      call("skb_load_bytes_relative", "ctx", 0, at(32), 16, 1),
      call("skb_vlan_pop", "ctx"),
      ...SHAPE,
      call("skb_vlan_pop", "ctx"),
      call("skb_vlan_pop", "ctx"),
      ...SHAPE,
      call("skb_load_bytes_relative", "ctx", 0, at(64), 16, 1),
    ],
  })),
  ...each(
    [
      [IPV4, 0xdd86],
      [IPV6, 8],
      [IPV4, 8],
      [IPV6, 0xdd86],
      [ARP, 8],
      [IPV4, 0x0608],
    ] as const,
    ([data, proto]) => ({
      name: `change_proto of ${data.slice(26, 30)} to ${proto}`,
      type: TC,
      data,
      steps: [
        call("skb_change_proto", "ctx", proto, 1),
        call("set_hash", "ctx", 99),
        call("skb_change_proto", "ctx", proto, 0),
        ...SHAPE,
        load(S.hash),
        call("skb_load_bytes", "ctx", 0, at(0), 32),
        call("skb_load_bytes_relative", "ctx", 0, at(32), 16, 1),
        call("skb_change_proto", "ctx", data === IPV4 ? 8 : 0xdd86, 0),
        ...SHAPE,
      ],
    }),
  ),
  ...each([0, 1, 2, 3, 4, 7, -1], (type) => ({
    name: `change_type ${type}`,
    type: TC,
    data: IPV4,
    steps: [call("skb_change_type", "ctx", type), load(S.pktType)],
  })),
  ...each([0, 13, 14, 20, 58, 59, 100, 3000, 16064, 16065, -1], (size) => ({
    name: `change_tail ${size}`,
    type: TC,
    data: IPV4,
    ctx: skb({ 176: 100, 164: 2 }),
    steps: [
      call("skb_change_tail", "ctx", size, 0),
      call("skb_change_tail", "ctx", size, 1),
      load(S.len),
      load(S.gsoSize),
      load(S.gsoSegs),
      ...bytes(13, 57, 58, 99),
    ],
  })),
  ...each([0, 4, 64, 65, 1000, 4096, 16006, 16007, -1], (size) => ({
    name: `change_head ${size}`,
    type: TC,
    data: IPV4,
    steps: [
      call("skb_change_head", "ctx", size, 0),
      call("skb_change_head", "ctx", size, 1),
      load(S.len),
      load(S.protocol),
      ...bytes(0, 13, 14),
      call("skb_load_bytes_relative", "ctx", 0, at(0), 16, 0),
      call("skb_load_bytes_relative", "ctx", 0, at(16), 16, 1),
    ],
  })),
  {
    name: "change_head from layer 3",
    type: LWT,
    data: IPV4,
    steps: [
      call("skb_change_head", "ctx", 14, 0),
      load(S.len),
      ...bytes(0, 14),
      call("skb_change_tail", "ctx", 40, 0),
      load(S.len),
    ],
  },
  ...[IPV4, IPV6, ARP].flatMap((data) =>
    [0, 1, 2].flatMap((mode) =>
      [0, 8, 40, 4095, 4096, -8, -24, -25, -44].flatMap((size) =>
        each(data === ARP || mode === 2 ? [0] : [0, 1, 0x20, 0x80, 0x100, 0x180], (flags) => ({
          name: `adjust_room ${data.slice(26, 30)} ${size} mode ${mode} flags ${flags}`,
          type: TC,
          data,
          steps: [
            call("csum_level", "ctx", 1),
            call("skb_adjust_room", "ctx", size, mode, flags),
            ...SHAPE,
            call("csum_level", "ctx", 0),
            call("skb_load_bytes_relative", "ctx", 0, at(0), 16, 0),
            call("skb_load_bytes_relative", "ctx", 0, at(16), 16, 1),
            ...bytes(13, 33, 40),
          ],
        })),
      ),
    ),
  ),
  ...[IPV4, IPV6].flatMap((data) =>
    [
      2n,
      4n,
      6n,
      2n | 8n,
      4n | 8n,
      2n | 16n,
      4n | 16n,
      2n | 24n,
      2n | 64n,
      4n | 64n | (14n << 56n),
      2n | 64n | (13n << 56n),
      2n | (50n << 56n),
      8n,
      16n,
      1n << 9n,
      14n << 56n,
    ].map(
      (flags): PacketRow => ({
        name: `encapsulate ${data.slice(26, 30)} ${flags}`,
        type: TC,
        data,
        steps: [
          call("skb_adjust_room", "ctx", 48, 1, flags),
          ...SHAPE,
          call("skb_adjust_room", "ctx", 20, 1, flags),
          call("skb_load_bytes_relative", "ctx", 0, at(0), 16, 0),
          call("skb_load_bytes_relative", "ctx", 0, at(16), 16, 1),
          call("skb_change_tail", "ctx", 40, 0),
          call("skb_change_tail", "ctx", 200, 0),
          call("skb_adjust_room", "ctx", -48, 1, 0),
          call("skb_adjust_room", "ctx", -48, 1, flags & ~6n),
          ...SHAPE,
        ],
      }),
    ),
  ),
  {
    name: "adjust_room of a GSO packet",
    type: TC,
    data: IPV4,
    ctx: skb({ 176: 100 }),
    steps: [
      call("skb_adjust_room", "ctx", 20, 0, 0),
      call("skb_adjust_room", "ctx", -20, 1, 0),
      load(S.len),
      call("skb_change_head", "ctx", 20000, 0),
    ],
  },

  // What comes with a packet.
  ...each([IPV4, ARP], (data) => ({
    name: `set_tstamp ${data.slice(26, 30)}`,
    type: TC,
    data,
    steps: [0, 1, 2, 3].flatMap((clock) => [
      call("skb_set_tstamp", "ctx", 0, clock),
      call("skb_set_tstamp", "ctx", 0x1234_5678_9abcn, clock),
      load(S.tstamp, 8),
      load(S.tstampType, 1),
    ]),
  })),
  {
    name: "hash set, kept, cleared",
    type: TC,
    data: IPV4,
    steps: [
      call("set_hash", "ctx", 0x1234),
      load(S.hash),
      call("get_hash_recalc", "ctx"),
      call("skb_store_bytes", "ctx", 0, at(0), 4, 0),
      load(S.hash),
      call("skb_store_bytes", "ctx", 0, at(0), 4, 2),
      load(S.hash),
      call("set_hash", "ctx", 5),
      call("set_hash_invalid", "ctx"),
      load(S.hash),
    ],
  },
  {
    name: "identity of the packet's socket",
    type: TC,
    data: IPV4,
    steps: [
      call("get_route_realm", "ctx"),
      call("get_cgroup_classid", "ctx"),
      call("get_socket_uid", "ctx"),
      call("skb_get_tunnel_key", "ctx", at(0), 44, 0),
    ],
  },
  { name: "socket uid in a filter", type: FILTER, data: IPV4, steps: [call("get_socket_uid", "ctx")] },
  ...each([0, 1, 2, 4, 8, 32, 16, 64, 47], (flags) => ({
    name: `tunnel key flags ${flags}`,
    type: TC,
    data: IPV4,
    scratch:
      "01000000 0a000001 00000000 00000000 00000000 12 40 0000 00000000 0b000002 00000000 00000000 00000000",
    steps: [
      call("skb_get_tunnel_key", "ctx", at(64), 44, 0),
      call("skb_set_tunnel_opt", "ctx", at(0), 8),
      call("skb_get_tunnel_opt", "ctx", at(64), 8),
      call("skb_set_tunnel_key", "ctx", at(0), 44, flags),
      call("skb_get_tunnel_key", "ctx", at(64), 44, 0),
      call("skb_get_tunnel_key", "ctx", at(128), 44, 16),
      call("skb_get_tunnel_key", "ctx", at(192), 44, 17),
      call("skb_get_tunnel_key", "ctx", at(256), 44, 32),
      call("skb_get_tunnel_opt", "ctx", at(320), 8),
      call("skb_set_tunnel_opt", "ctx", at(0), 6),
      call("skb_set_tunnel_opt", "ctx", at(0), 256),
      call("skb_set_tunnel_opt", "ctx", at(0), 8),
      call("skb_get_tunnel_opt", "ctx", at(320), 4),
      call("skb_get_tunnel_opt", "ctx", at(328), 12),
      call("skb_get_tunnel_key", "ctx", at(384), 44, flags === 1 ? 17 : 16),
    ],
  })),
  ...each([8, 22, 24, 28, 44, 4, 23, 43], (size) => ({
    name: `tunnel key of ${size} bytes`,
    type: TC,
    data: IPV4,
    scratch:
      "01000000 0a000001 00000000 00000000 00000000 12 40 0000 00000000 0b000002 00000000 00000000 00000000",
    steps: [
      call("skb_set_tunnel_key", "ctx", at(0), 44, 0),
      call("skb_get_tunnel_key", "ctx", at(64), size, 0),
      call("skb_set_tunnel_key", "ctx", at(0), size, 0),
      call("skb_get_tunnel_key", "ctx", at(128), 44, 0),
      call("skb_set_tunnel_key", "ctx", at(0), size, 1),
      call("skb_get_tunnel_key", "ctx", at(192), size, 1),
    ],
  })),
  {
    name: "tunnel key with a label or an extension",
    type: TC,
    data: IPV4,
    scratch:
      "01000000 0a000001 00000000 00000000 00000000 12 40 0000 45231fff 0b000002 00000000 00000000 00000000 01000000 0a000001 00000000 00000000 00000000 12 40 0100 00000000 0b000002",
    steps: [
      call("skb_set_tunnel_key", "ctx", at(0), 44, 0),
      call("skb_set_tunnel_key", "ctx", at(0), 44, 1),
      call("skb_get_tunnel_key", "ctx", at(128), 44, 1),
      call("skb_set_tunnel_key", "ctx", at(44), 44, 0),
    ],
  },

  // Elsewhere.
  {
    name: "redirects of tc",
    type: TC,
    data: IPV4,
    steps: [
      call("redirect", 1, 0),
      call("redirect", 1, 1),
      call("redirect", 1, 2),
      call("redirect", 1, 0x10000),
      call("redirect", 1, 1n << 40n),
      call("redirect_peer", 1, 0),
      call("redirect_peer", 1, 1),
      call("redirect_neigh", 1, 0, 0, 0),
      call("redirect_neigh", 1, at(0), 20, 0),
      call("redirect_neigh", 1, at(0), 16, 0),
      call("redirect_neigh", 1, 0, 0, 1),
      call("clone_redirect", "ctx", 999999, 0),
      call("clone_redirect", "ctx", 1, 2),
    ],
  },
  ...each([0, 1, 70000, -20], (difference) => ({
    name: `tc check_mtu ${difference}`,
    type: TC,
    data: IPV4,
    scratch: "0000000001000000ff000100",
    steps: [
      call("check_mtu", "ctx", 0, at(0), difference, 0),
      call("check_mtu", "ctx", 1, at(4), difference, 0),
      call("check_mtu", "ctx", 1, at(8), difference, 0),
      call("check_mtu", "ctx", 1, at(8), difference, 1),
      call("check_mtu", "ctx", 1, at(8), difference, 2),
      call("check_mtu", "ctx", 999999, at(8), difference, 0),
    ],
  })),
  {
    name: "check_mtu of a GSO packet",
    type: TC,
    data: IPV4,
    ctx: skb({ 176: 100 }),
    scratch: "00000000ffff0f00",
    steps: [
      call("check_mtu", "ctx", 1, at(4), 0, 0),
      call("check_mtu", "ctx", 1, at(4), 0, 1),
      call("check_mtu", "ctx", 1, at(0), 0, 1),
      call("clone_redirect", "ctx", 1, 0),
    ],
  },
  ...each([TC, XDP] as const, (type) => ({
    name: `fib_lookup by ${type}`,
    type,
    data: IPV4,
    scratch: `02110000000000000${"1000000".padStart(7, "0")}${"00".repeat(4)}0a000001${"00".repeat(12)}0a000002`,
    steps: [
      call("fib_lookup", "ctx", at(0), 64, 0),
      call("fib_lookup", "ctx", at(0), 63, 0),
      call("fib_lookup", "ctx", at(0), 64, 64),
      call("fib_lookup", "ctx", at(64), 64, 0),
    ],
  })),
];
