// One table: whole programs for the program types and maps that helpers/packet/kernel-rows.fixture.ts leaves out, with
// what Linux 6.18 answered. test/differential/hook-programs.test.ts asks the running kernel again.
import type { AttachTypeName, MapTypeName, ProgramTypeName } from "../../abi/index.ts";
import { assemble, PseudoLoad } from "../../isa/index.ts";

export interface HookProgram {
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly attachType?: AttachTypeName;
  /** LLVM's BPF assembly; `rN = m ll` is the map. */
  readonly text: string;
  /** Elements: key and value in hex. */
  readonly map?: {
    readonly type: MapTypeName;
    readonly valueSize: number;
    readonly entries: readonly (readonly [key: string, value: string])[];
  };
  readonly data?: string;
  readonly ctx?: string;
  /** The harness cannot ask Linux: bpf(2) takes neither a repeat count nor an output context for this type. */
  readonly notOnLinux?: true;
  readonly want: {
    readonly errno?: string;
    readonly retval?: number;
    readonly data?: string;
    readonly ctx?: string;
  };
}

/** The program's bytes; wide loads of `m` hold `mapId`. Their slots come with it. */
export function assembleProgram(
  program: HookProgram,
  mapId: number,
): { insns: Uint8Array; mapSlots: number[] } {
  const assembly = assemble(program.text, {
    symbol: (name) => (name === "m" ? { src: PseudoLoad.MAP_FD, imm: mapId } : undefined),
  });
  if (!assembly.ok)
    throw new Error(`${program.name}: ${assembly.diagnostics.map((d) => d.message).join("; ")}`);
  const mapSlots: number[] = [];
  for (let at = 0; at < assembly.bytes.length; at += 8) {
    if (assembly.bytes[at] === 0x18 && assembly.bytes[at + 1] >> 4 === PseudoLoad.MAP_FD)
      mapSlots.push(at / 8);
  }
  return { insns: assembly.bytes, mapSlots };
}

const FRAME = `${"00".repeat(6)}020000000002080045000014000000004011${"00".repeat(2)}0a0000010a000002`;
const IPV6 = `${"00".repeat(12)}86dd60000000000011402001${"00".repeat(14)}2001${"00".repeat(14)}`;

const LOOKUP_V4 = `${"00".repeat(8)}0200000006000000${"0a000001"}${"00".repeat(16)}${"1f90"}0000${"0a000002"}${"00".repeat(16)}50000000${"00".repeat(8)}`;
/** One u32 of the flow keys written, at an offset. */
const keys = (fields: Record<number, number>, size = 56): string => {
  const bytes = new Uint8Array(size);
  for (const [offset, value] of Object.entries(fields)) bytes[Number(offset)] = value;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
};

const redirectTo = (index: number, flags: number): string =>
  `r1 = m ll; r2 = ${index}; r3 = ${flags}; call 51; exit`;
const DEVMAP = { type: "BPF_MAP_TYPE_DEVMAP", valueSize: 4, entries: [["01000000", "01000000"]] } as const;
const DEVMAP_HASH = { ...DEVMAP, type: "BPF_MAP_TYPE_DEVMAP_HASH" } as const;
const CPUMAP = { type: "BPF_MAP_TYPE_CPUMAP", valueSize: 4, entries: [["00000000", "40000000"]] } as const;
const XSKMAP = { type: "BPF_MAP_TYPE_XSKMAP", valueSize: 4, entries: [] } as const;
const XDP = "BPF_PROG_TYPE_XDP";
const FLOW = { type: "BPF_PROG_TYPE_FLOW_DISSECTOR", attachType: "BPF_FLOW_DISSECTOR" } as const;
const LOOKUP = { type: "BPF_PROG_TYPE_SK_LOOKUP", attachType: "BPF_SK_LOOKUP" } as const;

const redirects = [
  ["devmap", DEVMAP, 1, 0, 4],
  ["devmap, other slot", DEVMAP, 0, 2, 2],
  ["devmap, other slot, default drop", DEVMAP, 0, 1, 1],
  ["devmap, default tx", DEVMAP, 2, 3, 3],
  ["devmap, index past the end", DEVMAP, 99, 2, 2],
  ["devmap, broadcast", DEVMAP, 0, 8, 4],
  ["devmap, broadcast without ingress", DEVMAP, 0, 24, 4],
  ["devmap, unknown flag", DEVMAP, 1, 32, 0],
  ["devmap, flag 4", DEVMAP, 1, 4, 0],
  ["devmap hash", DEVMAP_HASH, 1, 2, 4],
  ["devmap hash, absent", DEVMAP_HASH, 7, 2, 2],
  ["cpumap", CPUMAP, 0, 2, 4],
  ["cpumap, empty slot", CPUMAP, 1, 2, 2],
  ["cpumap, broadcast is not for it", CPUMAP, 0, 8, 0],
  ["xskmap, empty slot", XSKMAP, 0, 2, 2],
  ["xskmap, unknown flag", XSKMAP, 0, 16, 0],
] as const;

export const HOOK_PROGRAMS: readonly HookProgram[] = [
  ...redirects.map(
    ([name, map, index, flags, retval]): HookProgram => ({
      name: `redirect_map to ${name}`,
      type: XDP,
      text: redirectTo(index, flags),
      map,
      data: FRAME,
      want: { retval, data: FRAME },
    }),
  ),

  // Flow dissector.
  {
    ...FLOW,
    name: "flow keys as the program finds them",
    text: "r0 = 0; exit",
    data: FRAME,
    want: { retval: 0, data: keys({ 0: 14, 2: 14, 10: 8, 11: 0 }) },
  },
  {
    ...FLOW,
    name: "flow keys written, offsets clamped",
    text: `r2 = *(u64 *)(r1 + 144)
      r3 = 200
      *(u16 *)(r2 + 0) = r3
      r3 = 3
      *(u16 *)(r2 + 2) = r3
      r3 = 17
      *(u8 *)(r2 + 9) = r3
      r4 = *(u32 *)(r1 + 76)
      r5 = *(u32 *)(r1 + 80)
      r6 = r4
      r6 += 24
      r0 = 1
      if r6 > r5 goto end
      r3 = *(u8 *)(r4 + 23)
      *(u8 *)(r2 + 6) = r3
      r0 = 0
      end: exit`,
    data: FRAME,
    want: { retval: 0, data: keys({ 0: 34, 2: 34, 6: 0x11, 9: 17, 10: 8 }) },
  },
  {
    ...FLOW,
    name: "flow dissector flags come in by the context",
    text: "r2 = *(u64 *)(r1 + 144); r0 = *(u32 *)(r2 + 48); r0 &= 1; exit",
    data: FRAME,
    ctx: keys({ 48: 1 }),
    want: { retval: 1, data: keys({ 0: 14, 2: 14, 10: 8, 48: 1 }), ctx: keys({ 48: 1 }) },
  },
  {
    ...FLOW,
    name: "flow dissector context may hold flags only",
    text: "r0 = 0; exit",
    data: FRAME,
    ctx: keys({ 0: 1 }),
    want: { errno: "EINVAL" },
  },
  {
    ...FLOW,
    name: "flow dissector on a short frame",
    text: "r0 = 0; exit",
    data: FRAME.slice(0, 26),
    want: { errno: "EINVAL" },
  },

  // Socket lookup.
  {
    ...LOOKUP,
    name: "sk_lookup reads its context",
    text: `r2 = *(u32 *)(r1 + 8)
      r3 = *(u32 *)(r1 + 12)
      r4 = *(u32 *)(r1 + 16)
      r5 = *(u32 *)(r1 + 60)
      r0 = 0
      if r2 != 2 goto end
      if r3 != 6 goto end
      if r4 != 0x0100000a goto end
      if r5 != 80 goto end
      r0 = 1
      end: exit`,
    ctx: LOOKUP_V4,
    want: { retval: 1, ctx: LOOKUP_V4 },
  },
  {
    ...LOOKUP,
    name: "sk_lookup drops",
    text: "r0 = 0; exit",
    ctx: LOOKUP_V4,
    want: { retval: 0, ctx: LOOKUP_V4 },
  },
  {
    ...LOOKUP,
    name: "sk_lookup has no socket at first",
    text: "r2 = *(u64 *)(r1 + 0); r0 = 1; if r2 == 0 goto end; r0 = 0; end: exit",
    ctx: LOOKUP_V4,
    want: { retval: 1, ctx: LOOKUP_V4 },
  },
  {
    ...LOOKUP,
    name: "sk_assign of nothing",
    text: "r2 = 0; r3 = 0; call 124; r0 += 1; r0 &= 1; exit",
    ctx: LOOKUP_V4,
    want: { retval: 1, ctx: LOOKUP_V4 },
  },
  { ...LOOKUP, name: "sk_lookup without a context", text: "r0 = 1; exit", want: { errno: "EINVAL" } },
  {
    ...LOOKUP,
    name: "sk_lookup with packet data",
    text: "r0 = 1; exit",
    data: FRAME,
    ctx: LOOKUP_V4,
    want: { errno: "EINVAL" },
  },
  {
    ...LOOKUP,
    name: "sk_lookup of family 3",
    text: "r0 = 1; exit",
    ctx: LOOKUP_V4.replace("02000000", "03000000"),
    want: { errno: "EAFNOSUPPORT" },
  },
  {
    ...LOOKUP,
    name: "sk_lookup with a port above 65535",
    text: "r0 = 1; exit",
    ctx: LOOKUP_V4.replace("50000000", "50000100"),
    want: { errno: "ERANGE" },
  },
  {
    ...LOOKUP,
    name: "sk_lookup with a socket in the context",
    text: "r0 = 1; exit",
    ctx: `01${LOOKUP_V4.slice(2)}`,
    want: { errno: "EINVAL" },
  },

  // Tracing and system calls.
  {
    name: "raw tracepoint arguments",
    type: "BPF_PROG_TYPE_RAW_TRACEPOINT",
    notOnLinux: true,
    text: "r2 = *(u64 *)(r1 + 0); r0 = *(u64 *)(r1 + 8); r0 += r2; exit",
    ctx: "05000000000000000700000000000000",
    want: { retval: 12 },
  },
  {
    name: "raw tracepoint with too many arguments",
    type: "BPF_PROG_TYPE_RAW_TRACEPOINT",
    notOnLinux: true,
    text: "r0 = 0; exit",
    ctx: "00".repeat(104),
    want: { errno: "EINVAL" },
  },

  // Sockets in an empty network namespace.
  ...([84, 85, 99] as const).map(
    (helper): HookProgram => ({
      name: `socket lookup by helper ${helper} finds nothing`,
      type: "BPF_PROG_TYPE_SCHED_CLS",
      text: `r2 = 0x0200000a0100000a ll
        *(u64 *)(r10 - 16) = r2
        r2 = 0x01010202
        *(u32 *)(r10 - 8) = r2
        r2 = r10
        r2 += -16
        r3 = 12
        r4 = -1
        r5 = 0
        call ${helper}
        if r0 != 0 goto found
        r0 = 7
        exit
        found: r1 = r0; call 86; r0 = 8; exit`,
      data: FRAME,
      want: { retval: 7, data: FRAME },
    }),
  ),
  {
    name: "the packet's own socket",
    type: "BPF_PROG_TYPE_SCHED_CLS",
    text: `r1 = *(u64 *)(r1 + 168)
      r0 = 1
      if r1 == 0 goto end
      r6 = *(u32 *)(r1 + 4)
      call 95
      if r0 == 0 goto end
      r1 = *(u32 *)(r0 + 24)
      r2 = *(u32 *)(r0 + 52)
      r3 = *(u32 *)(r0 + 72)
      r3 <<= 8
      r6 += r3
      r1 >>= 8
      r2 >>= 8
      r0 = r6
      if r1 != 0x010000 goto end
      if r2 != 0x020000 goto end
      r0 += 0x10000
      end: exit`,
    data: FRAME,
    want: { retval: 0x10702, data: FRAME },
  },
  {
    name: "the packet's own socket is no TCP socket and does not listen",
    type: "BPF_PROG_TYPE_SCHED_CLS",
    text: `r6 = *(u64 *)(r1 + 168)
      r0 = 1
      if r6 == 0 goto end
      r1 = r6
      call 96
      if r0 != 0 goto bad
      r1 = r6
      call 98
      if r0 != 0 goto bad
      r0 = 3
      exit
      bad: r0 = 2
      end: exit`,
    data: IPV6,
    want: { retval: 3, data: IPV6 },
  },
  {
    name: "sk_assign works at ingress only",
    type: "BPF_PROG_TYPE_SCHED_CLS",
    text: `r6 = r1
      r2 = *(u64 *)(r1 + 168)
      r0 = 1
      if r2 == 0 goto end
      r1 = r6
      r3 = 0
      call 124
      end: exit`,
    data: FRAME,
    want: { retval: 0xffffffa1, data: FRAME },
  },
  {
    name: "stores into short fields are cut",
    type: "BPF_PROG_TYPE_SCHED_CLS",
    text: `r2 = 0x12345
      *(u32 *)(r1 + 44) = r2
      *(u32 *)(r1 + 72) = r2
      *(u32 *)(r1 + 12) = r2
      r0 = *(u32 *)(r1 + 44)
      r3 = *(u32 *)(r1 + 72)
      r4 = *(u32 *)(r1 + 12)
      r0 ^= r3
      r0 <<= 16
      r0 |= r4
      exit`,
    data: FRAME,
    want: { retval: 0, data: FRAME },
  },
];
