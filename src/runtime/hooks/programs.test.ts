import { describe, expect, it } from "vitest";
import { BpfError, fromHex, toHex } from "../../base/index.ts";
import type { CollectionSpec, MapSpec, ProgramSpec } from "../../object/index.ts";
import { openEmbeddedKernel } from "../embedded-kernel.ts";
import type { Network, Socket } from "../network.ts";
import { assembleProgram, HOOK_PROGRAMS, type HookProgram } from "./programs.fixture.ts";

async function run(program: HookProgram, network?: Network) {
  using kernel = await openEmbeddedKernel(network === undefined ? {} : { host: { network } });
  const { insns, mapSlots } = assembleProgram(program, 0);
  const spec: ProgramSpec = {
    name: "program",
    section: "",
    type: program.type,
    attachType: program.attachType,
    attachTo: undefined,
    flags: { sleepable: false, xdpFrags: false },
    autoload: true,
    insns,
    references: mapSlots.map((insn) => ({ kind: "map", insn, map: "m" })),
    coreRelocations: [],
    funcs: [{ name: "program", insn: 0, btfId: 0, linkage: "global" }],
    lines: [],
  };
  const maps: MapSpec[] = [];
  if (program.map) {
    maps.push({
      name: "m",
      type: program.map.type,
      keySize: 4,
      valueSize: program.map.valueSize,
      maxEntries: 4,
      flags: 0,
      mapExtra: 0n,
      numaNode: 0,
      pinning: "none",
      keyType: 0,
      valueType: 0,
      inner: undefined,
      values: [],
      data: undefined,
      section: ".maps",
      variables: [],
      frozen: false,
    });
  }
  const collection: CollectionSpec = {
    programs: [spec],
    maps,
    externs: [],
    structOps: [],
    btf: undefined,
    license: "GPL",
    kernelVersion: 0,
    byteOrder: "little",
  };
  const loaded = await kernel.load(collection);
  for (const [key, value] of program.map?.entries ?? []) {
    loaded.maps.get("m")?.update(fromHex(key), fromHex(value));
  }
  const result = loaded.programs.get("program")?.run({
    ...(program.data !== undefined && { data: fromHex(program.data) }),
    ...(program.ctx !== undefined && { ctx: fromHex(program.ctx) }),
  });
  if (result === undefined) throw new Error("not loaded");
  return result;
}

async function answer(program: HookProgram): Promise<HookProgram["want"]> {
  try {
    const result = await run(program);
    return {
      retval: result.retval,
      ...(program.want.data !== undefined && { data: toHex(result.data ?? new Uint8Array(0)) }),
      ...(program.want.ctx !== undefined && { ctx: toHex(result.ctx ?? new Uint8Array(0)) }),
    };
  } catch (error) {
    if (error instanceof BpfError && error.code === "runtime/bad-input") return { errno: error.errno ?? "" };
    throw error;
  }
}

describe("programs of all types do as Linux 6.18 does", () => {
  it.each(HOOK_PROGRAMS.map((program) => [program.name, program] as const))("%s", async (_name, program) => {
    expect(await answer(program)).toEqual(program.want);
  });
});

const FRAME = HOOK_PROGRAMS[0].data ?? "";
const LOCAL: Socket = {
  family: "inet",
  protocol: "tcp",
  localAddress: Uint8Array.of(10, 0, 0, 2),
  localPort: 257,
  state: 10,
  cookie: 42n,
};
const named = (name: string): HookProgram => {
  const found = HOOK_PROGRAMS.find((program) => program.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe("what a run sends elsewhere is recorded", () => {
  it.each([
    ["redirect_map to devmap", { kind: "devmap", index: 1, map: "m" }],
    ["redirect_map to cpumap", { kind: "cpumap", index: 0, map: "m" }],
    ["redirect_map to devmap, broadcast", { kind: "devmap", index: 0, map: "m", mode: "broadcast" }],
    ["redirect_map to devmap, other slot", undefined],
  ] as const)("%s", async (name, redirect) => {
    expect((await run(named(name))).outcome?.redirect).toEqual(redirect);
  });

  it("keeps clones and the last redirect", async () => {
    const result = await run({
      name: "clone",
      type: "BPF_PROG_TYPE_SCHED_CLS",
      text: "r2 = 5; r3 = 1; call 13; r1 = 6; r2 = 0; call 23; exit",
      data: FRAME,
      want: {},
    });
    expect(result.retval).toBe(7);
    expect(result.outcome).toEqual({
      redirect: { kind: "ifindex", index: 6, mode: "egress" },
      clones: [{ data: fromHex(FRAME), target: { kind: "ifindex", index: 5, mode: "ingress" } }],
    });
  });
});

describe("the network that the host declares", () => {
  const network: Network = {
    sockets: [LOCAL],
    route: ({ destination }) =>
      destination[3] === 2
        ? {
            ifindex: 9,
            mtu: 1500,
            neighbour: {
              sourceMac: Uint8Array.of(1, 2, 3, 4, 5, 6),
              destinationMac: Uint8Array.of(7, 8, 9, 10, 11, 12),
            },
          }
        : "unreachable",
  };

  it("has sockets to find", async () => {
    expect((await run(named("socket lookup by helper 84 finds nothing"), network)).retval).toBe(8);
    expect((await run(named("socket lookup by helper 85 finds nothing"), network)).retval).toBe(7);
  });

  it("demands that a socket is released", async () => {
    const program = named("socket lookup by helper 84 finds nothing");
    const leaky = { ...program, text: program.text.replace("call 86", "r0 = 0") };
    await expect(run(leaky, network)).rejects.toMatchObject({ code: "runtime/unreleased-reference" });
  });

  it.each([
    [2, 0, 9],
    [3, 2, 1],
  ])("routes to 10.0.0.%i: %i, interface %i", async (host, retval, ifindex) => {
    const result = await run(
      {
        name: "fib",
        type: "BPF_PROG_TYPE_XDP",
        // struct bpf_fib_lookup: family, ifindex, source and destination; what came of it goes into the packet.
        text: `r6 = r1
          r1 = 0
          r2 = r10
          r2 += -64
          ${Array.from({ length: 8 }, (_, i) => `*(u64 *)(r2 + ${8 * i}) = r1`).join("\n")}
          r1 = 2
          *(u8 *)(r2 + 0) = r1
          r1 = 1
          *(u32 *)(r2 + 8) = r1
          r1 = ${0x0a + host * 2 ** 24}
          *(u32 *)(r2 + 32) = r1
          r1 = r6
          r3 = 64
          r4 = 0
          call 69
          r7 = r0
          r1 = r6
          r2 = 0
          r3 = r10
          r3 += -64
          r4 = 64
          call 190
          r0 = r7
          exit`,
        data: "00".repeat(64),
        want: {},
      },
      network,
    );
    expect(result.retval).toBe(retval);
    expect(result.data?.[8]).toBe(ifindex);
    if (retval === 0)
      expect(toHex(result.data?.subarray(52, 64) ?? new Uint8Array(0))).toBe("0102030405060708090a0b0c");
  });

  it("lets sk_lookup choose a listening socket", async () => {
    const result = await run(
      {
        name: "select",
        type: "BPF_PROG_TYPE_SK_LOOKUP",
        attachType: "BPF_SK_LOOKUP",
        text: `r6 = r1
          r1 = 0
          *(u32 *)(r10 - 4) = r1
          r1 = m ll
          r2 = r10
          r2 += -4
          call 1
          if r0 == 0 goto drop
          r7 = r0
          r1 = r6
          r2 = r7
          r3 = 0
          call 124
          r8 = r0
          r1 = r7
          call 86
          if r8 != 0 goto drop
          r0 = 1
          exit
          drop: r0 = 0; exit`,
        map: { type: "BPF_MAP_TYPE_SOCKMAP", valueSize: 8, entries: [["00000000", "2a00000000000000"]] },
        ctx: named("sk_lookup drops").ctx ?? "",
        want: {},
      },
      network,
    );
    expect(result.retval).toBe(1);
    expect(result.ctx?.[0]).toBe(42);
  });
});

describe("SYN cookies", () => {
  const IP = "4500002c 00000000 4006 0000 0a000001 0a000002";
  it("are recognised when the ACK returns them", async () => {
    // The cookie made for the SYN is put into the ACK number, plus one, and checked.
    const result = await run({
      name: "cookie",
      type: "BPF_PROG_TYPE_XDP",
      text: `r6 = *(u32 *)(r1 + 0)
        r7 = *(u32 *)(r1 + 4)
        r1 = r6
        r1 += 58
        r0 = 9
        if r1 > r7 goto end
        r1 = r6
        r1 += 14
        r2 = r6
        r2 += 34
        r3 = 24
        call 204
        r8 = r0
        r8 >>= 32
        r0 += 1
        r0 = be32 r0
        *(u32 *)(r6 + 42) = r0
        r1 = *(u32 *)(r6 + 38)
        r1 = be32 r1
        r1 += 1
        r1 = be32 r1
        *(u32 *)(r6 + 38) = r1
        r1 = r6
        r1 += 14
        r2 = r6
        r2 += 34
        call 206
        if r0 != 0 goto end
        r0 = r8
        end: exit`,
      data: `${FRAME.slice(0, 28)} ${IP} 1234 0050 11223344 00000000 6002 ffff 0000 0000 020405b4`,
      want: {},
    });
    expect(result.retval).toBe(1460);
  });
});

describe("packets longer than Linux's test run takes", () => {
  const long = toHex(Uint8Array.from({ length: 9000 }, (_, i) => (i < 14 ? 0 : i)));
  const linearBytes = "r2 = *(u32 *)(r1 + 76); r0 = *(u32 *)(r1 + 80); r0 -= r2";

  it.each([
    ["have a linear part", `${linearBytes}; exit`, 3712],
    ["say their whole length", "r0 = *(u32 *)(r1 + 0); exit", 9000],
    ["become linear when pulled", `r6 = r1; r2 = 8000; call 39; r1 = r6; ${linearBytes}; exit`, 8000],
    ["are pulled no further than they go", "r2 = 9001; call 39; exit", 0xffff_fff4],
    [
      "are read behind the linear part",
      "r2 = 8998; r3 = r10; r3 += -8; r4 = 2; call 26; r0 = *(u16 *)(r10 - 8); r0 = be16 r0; exit",
      ((8998 & 255) << 8) | (8999 & 255),
    ],
  ] as const)("%s", async (name, text, retval) => {
    const result = await run({ name, type: "BPF_PROG_TYPE_SCHED_CLS", text, data: long, want: {} });
    expect(result.retval).toBe(retval);
    expect(toHex(result.data ?? new Uint8Array(0))).toBe(long);
  });
});

describe("contexts that are plain memory", () => {
  it.each([
    ["BPF_PROG_TYPE_KPROBE", "r0 = *(u64 *)(r1 + 112); exit", `${"00".repeat(112)}2a`, 42],
    ["BPF_PROG_TYPE_TRACEPOINT", "r0 = *(u32 *)(r1 + 16); exit", `${"00".repeat(16)}07000000`, 7],
    ["BPF_PROG_TYPE_PERF_EVENT", "r0 = *(u64 *)(r1 + 168); exit", `${"00".repeat(168)}05`, 5],
    [
      "BPF_PROG_TYPE_SYSCALL",
      "r2 = 9; *(u32 *)(r1 + 4) = r2; r0 = *(u32 *)(r1 + 0); exit",
      "0300000000000000",
      3,
    ],
    ["BPF_PROG_TYPE_CGROUP_SYSCTL", "r0 = *(u32 *)(r1 + 0); exit", "0100000000000000", 1],
    ["BPF_PROG_TYPE_CGROUP_DEVICE", "r0 = *(u32 *)(r1 + 8); exit", "000000000000000001000000", 1],
  ] as const)("%s", async (type, text, ctx, retval) => {
    expect((await run({ name: type, type, text, ctx, want: {} })).retval).toBe(retval);
  });

  it("come back as the program left them", async () => {
    const text = "r2 = 9; *(u32 *)(r1 + 4) = r2; r0 = 0; exit";
    const result = await run({
      name: "args",
      type: "BPF_PROG_TYPE_SYSCALL",
      text,
      ctx: "0300000000000000",
      want: {},
    });
    expect(toHex(result.ctx ?? new Uint8Array(0))).toBe("0300000009000000");
  });

  it("give option values and messages as data", async () => {
    const text = `r2 = *(u64 *)(r1 + 8)
      r3 = *(u64 *)(r1 + 16)
      r4 = r2
      r4 += 4
      r0 = 0
      if r4 > r3 goto end
      r0 = *(u8 *)(r2 + 3)
      r5 = 1
      *(u8 *)(r2 + 0) = r5
      end: exit`;
    const type = "BPF_PROG_TYPE_CGROUP_SOCKOPT";
    const result = await run({
      name: type,
      type,
      attachType: "BPF_CGROUP_SETSOCKOPT",
      text,
      data: "00000001",
      want: {},
    });
    expect([result.retval, toHex(result.data ?? new Uint8Array(0))]).toEqual([1, "01000001"]);
  });
});

describe("hostile input", () => {
  it.each([
    ["BPF_PROG_TYPE_XDP", { data: new Uint8Array(1 << 20) }, "ENOMEM"],
    ["BPF_PROG_TYPE_SCHED_CLS", { data: new Uint8Array(1 << 20) }, "EINVAL"],
    ["BPF_PROG_TYPE_SCHED_CLS", { data: new Uint8Array(64), ctx: new Uint8Array(300).fill(1) }, "E2BIG"],
    ["BPF_PROG_TYPE_FLOW_DISSECTOR", { data: new Uint8Array(1 << 17) }, "EINVAL"],
    ["BPF_PROG_TYPE_SYSCALL", { ctx: new Uint8Array(1 << 17) }, "EINVAL"],
    ["BPF_PROG_TYPE_KPROBE", { data: new Uint8Array(64) }, "EINVAL"],
    ["BPF_PROG_TYPE_NETFILTER", { data: new Uint8Array(4) }, "EINVAL"],
    ["BPF_PROG_TYPE_CGROUP_SOCKOPT", { ctx: new Uint8Array(40).fill(1) }, "EINVAL"],
  ] as const)("%s is refused with an errno", async (type, input, errno) => {
    const data = "data" in input ? { data: toHex(input.data) } : {};
    const ctx = "ctx" in input ? { ctx: toHex(input.ctx) } : {};
    const program: HookProgram = { name: "nothing", type, text: "r0 = 0; exit", ...data, ...ctx, want: {} };
    await expect(run(program)).rejects.toMatchObject({ code: "runtime/bad-input", errno });
  });

  it("a packet that grows for ever runs out of room, not of memory", async () => {
    const result = await run({
      name: "grow",
      type: "BPF_PROG_TYPE_SCHED_CLS",
      text: `r6 = r1
        r7 = 2000000
        again: r1 = r6
        r2 = 0x81
        r3 = 1
        call 18
        if r0 != 0 goto end
        r7 += -1
        if r7 != 0 goto again
        end: exit`,
      data: FRAME,
      want: {},
    });
    expect(result.retval | 0).toBe(-12);
    expect(result.data?.length).toBeLessThan(1 << 20);
  });
});
