import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../base/index.ts";
import { runProgram, type TestMap, type TestProgram } from "./program.fixture.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const array = (value: number): TestMap => ({ type: "BPF_MAP_TYPE_ARRAY", value });
const constant = (text: string): TestMap => ({
  type: "BPF_MAP_TYPE_ARRAY",
  data: ascii(`${text}\0`),
  flags: 0x80,
});

interface Row extends TestProgram {
  readonly name: string;
  /** r0, signed 32 bits. */
  readonly want: number;
  /** Hex of the first bytes of the map "out". */
  readonly out?: string;
}

/** Stores r0 as a u64 in the map "out" and returns 0. */
const KEEP_R0 = "r6 = r0\nr1 = value_of_out ll\n*(u64 *)(r1 + 0) = r6\nr0 = 0\nexit\n";
const out = array(64);

/** Text → the answer of strtol/strtoul: (text, flags). Recorded from Linux 6.18 with BPF_PROG_TEST_RUN. */
function strto(helper: "strtol" | "strtoul", text: string, flags: number): Omit<Row, "name" | "want"> {
  return {
    maps: { text: { type: "BPF_MAP_TYPE_ARRAY", data: ascii(text), value: text.length }, out },
    text: `
      r1 = value_of_text ll
      r2 = ${text.length}
      r3 = ${flags}
      r4 = value_of_out ll
      call bpf_${helper}
      exit`,
  };
}

function rows(list: readonly Row[]): void {
  it.each(list)("$name", async ({ want, out: bytes, ...program }) => {
    const run = await runProgram(program);
    expect(run.retval).toBe(want);
    if (bytes !== undefined) {
      expect(toHex(run.value("out").subarray(0, bytes.length / 2))).toBe(bytes);
    }
  });
}

describe("strtol, strtoul", () => {
  const le = (value: bigint): string => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, BigInt.asIntN(64, value), true);
    return toHex(bytes);
  };
  const cases: [helper: "strtol" | "strtoul", text: string, flags: number, want: number, value: bigint][] = [
    ["strtol", "123", 0, 3, 123n],
    ["strtol", "  -42 rest", 10, 5, -42n],
    ["strtol", "0x1f", 0, 4, 31n],
    ["strtol", "0x1f", 16, 4, 31n],
    ["strtol", "1f", 16, 2, 31n],
    ["strtol", "0755", 0, 4, 493n],
    ["strtol", "0755", 8, 4, 493n],
    ["strtol", "089", 0, 1, 0n],
    ["strtol", "0x", 0, 1, 0n],
    ["strtol", "0x", 16, -22, 0n],
    ["strtol", "0xg", 16, -22, 0n],
    ["strtol", "+5", 10, -22, 0n],
    ["strtol", "", 10, -22, 0n],
    ["strtol", "-", 10, -22, 0n],
    ["strtol", "abc", 10, -22, 0n],
    ["strtol", "7", 2, -22, 0n],
    ["strtol", "7", 32, -22, 0n],
    ["strtol", "9223372036854775807", 10, 19, 2n ** 63n - 1n],
    ["strtol", "9223372036854775808", 10, -34, 0n],
    ["strtol", "-9223372036854775808", 10, 20, -(2n ** 63n)],
    ["strtol", "-9223372036854775809", 10, -34, 0n],
    ["strtol", "99999999999999999999", 10, -34, 0n],
    ["strtoul", "18446744073709551615", 10, 20, -1n],
    ["strtoul", "18446744073709551616", 10, -34, 0n],
    ["strtoul", "-1", 10, -22, 0n],
    ["strtoul", "0xFFFFFFFFffffffff", 0, 18, -1n],
  ];
  rows(
    cases
      .filter(([, text]) => text !== "")
      .map(([helper, text, flags, want, value]) => ({
        ...strto(helper, text, flags),
        name: `${helper} "${text}" ${flags}`,
        want,
        out: le(value),
      })),
  );
});

describe("strncmp", () => {
  const compare = (text: string, size: number, with_: string, want: number): Row => ({
    name: `"${text}" "${with_}" ${size}`,
    maps: { text: { type: "BPF_MAP_TYPE_ARRAY", data: ascii(`${text}\0\0\0\0`) }, other: constant(with_) },
    text: `r1 = value_of_text ll\nr2 = ${size}\nr3 = value_of_other ll\ncall bpf_strncmp\nexit`,
    want,
  });
  rows([
    compare("abc", 3, "abc", 0),
    compare("abc", 4, "abc", 0),
    compare("abc", 4, "abd", -1),
    compare("abd", 3, "abc", 1),
    compare("abc", 2, "abd", 0),
    compare("ab", 4, "abc", -1),
    compare("é", 2, "a", 1),
  ]);
});

describe("time, CPU and task", () => {
  const host = {
    nowNs: () => 1_000_123_456_789n,
    realtimeNs: () => 1_700_000_000_000_000_000n,
    random32: () => 0xfeedface,
  };
  const calls = (helper: string, want: string): Row => ({
    name: helper,
    host,
    maps: { out },
    text: `call bpf_${helper}\n${KEEP_R0}`,
    want: 0,
    out: toHex(fromHex(want).reverse()),
  });
  rows([
    calls("ktime_get_ns", 1_000_123_456_789n.toString(16).padStart(16, "0")),
    calls("ktime_get_boot_ns", 1_000_123_456_789n.toString(16).padStart(16, "0")),
    calls("ktime_get_coarse_ns", 1_000_120_000_000n.toString(16).padStart(16, "0")),
    calls("ktime_get_tai_ns", 1_700_000_000_000_000_000n.toString(16).padStart(16, "0")),
    calls("jiffies64", (2n ** 32n - 75_000n + 250_030n).toString(16).padStart(16, "0")),
    calls("get_prandom_u32", "00000000feedface"),
    calls("get_smp_processor_id", "0000000000000000"),
    calls("get_numa_node_id", "0000000000000000"),
    calls("get_current_pid_tgid", "000000280000002a"),
    calls("get_current_uid_gid", "00000064000003e8"),
    calls("get_current_cgroup_id", "0000000000000007"),
    calls("get_cgroup_classid", "0000000000000000"),
    {
      name: "get_current_comm zeroes what the name leaves",
      maps: { out },
      text: "r1 = value_of_out ll\nr2 = 16\ncall bpf_get_current_comm\nexit",
      want: 0,
      out: "74657374657200000000000000000000",
    },
    {
      name: "get_current_comm cuts and terminates",
      maps: { out },
      text: "r1 = value_of_out ll\nr2 = 4\ncall bpf_get_current_comm\nexit",
      want: 0,
      out: "746573000000",
    },
    {
      name: "get_current_ancestor_cgroup_id: the root is level 0",
      text: "r1 = 0\ncall bpf_get_current_ancestor_cgroup_id\nexit",
      want: 1,
    },
    {
      name: "get_current_ancestor_cgroup_id: no such level",
      text: "r1 = 5\ncall bpf_get_current_ancestor_cgroup_id\nexit",
      want: 0,
    },
    {
      name: "get_ns_current_pid_tgid: no namespace matches, zeroes",
      maps: { out: { ...out, data: new Uint8Array(64).fill(0xff) } },
      text: "r1 = 1\nr2 = 2\nr3 = value_of_out ll\nr4 = 8\ncall bpf_get_ns_current_pid_tgid\nexit",
      want: -22,
      out: "0000000000000000ff",
    },
    {
      name: "get_current_task: a number at which nothing can be read",
      maps: { out: { ...out, data: new Uint8Array(64).fill(0xff) } },
      text: `call bpf_get_current_task
        r3 = r0
        r1 = value_of_out ll
        r2 = 8
        call bpf_probe_read_kernel
        exit`,
      want: -34,
      out: "0000000000000000ff",
    },
  ]);

  it("send_signal is recorded in the outcome", async () => {
    const { retval, result } = await runProgram({
      text: "r1 = 9\ncall bpf_send_signal\nr1 = 10\ncall bpf_send_signal_thread\nr1 = 65\ncall bpf_send_signal\nexit",
    });
    expect(retval).toBe(-22);
    expect(result.outcome?.signals).toEqual([
      { signal: 9, to: "process", pid: 40 },
      { signal: 10, to: "thread", pid: 42 },
    ]);
  });
});

describe("printing", () => {
  const printk = (format: string, size = format.length + 1): TestProgram => ({
    maps: { format: constant(format) },
    text: `r1 = value_of_format ll\nr2 = ${size}\nr3 = 7\nr4 = -1 ll\nr5 = 3\ncall bpf_trace_printk\nexit`,
  });

  it.each([
    ["a %d b %lld c %x", 17, ["a 7 b -1 c 3"], 12],
    ["line\n", 6, ["line"], 5],
    ["%d %d %d %d", 12, [], -22],
    ["not terminated", 5, [], -22],
  ])("trace_printk %j", async (format, size, lines, want) => {
    const { retval, trace } = await runProgram(printk(format, size));
    expect({ retval, trace }).toEqual({ retval: want, trace: lines });
  });

  it("trace_vprintk takes up to twelve arguments", async () => {
    const { retval, trace } = await runProgram({
      maps: { format: constant("%d-%d-%d-%d") },
      text: `
        r1 = 1
        *(u64 *)(r10 - 32) = r1
        r1 = 2
        *(u64 *)(r10 - 24) = r1
        r1 = 3
        *(u64 *)(r10 - 16) = r1
        r1 = 4
        *(u64 *)(r10 - 8) = r1
        r1 = value_of_format ll
        r2 = 12
        r3 = r10
        r3 += -32
        r4 = 32
        call bpf_trace_vprintk
        exit`,
    });
    expect({ retval, trace }).toEqual({ retval: 7, trace: ["1-2-3-4"] });
  });

  rows([
    {
      name: "snprintf: the length with the NUL",
      maps: { format: constant("v=%d"), out },
      text: `
        r1 = 5
        *(u64 *)(r10 - 8) = r1
        r1 = value_of_out ll
        r2 = 64
        r3 = value_of_format ll
        r4 = r10
        r4 += -8
        r5 = 8
        call bpf_snprintf
        exit`,
      want: 4,
      out: "763d3500",
    },
    {
      name: "snprintf: cut to the buffer",
      maps: { format: constant("hello world"), out },
      text: `
        r1 = value_of_out ll
        r2 = 4
        r3 = value_of_format ll
        r4 = 0
        r5 = 0
        call bpf_snprintf
        exit`,
      want: 12,
      out: "68656c0000",
    },
    {
      name: "snprintf: an argument length that is no multiple of 8",
      maps: { format: constant("x"), out },
      text: `
        r1 = 5
        *(u64 *)(r10 - 8) = r1
        r1 = value_of_out ll
        r2 = 64
        r3 = value_of_format ll
        r4 = r10
        r4 += -8
        r5 = 7
        call bpf_snprintf
        exit`,
      want: -22,
    },
  ]);
});

describe("probe_read", () => {
  const read = (helper: string, address: string, size: number, want: number, bytes: string): Row => ({
    name: `${helper} ${address} ${size}`,
    maps: {
      out: { ...out, data: new Uint8Array(64).fill(0xff) },
      text: { type: "BPF_MAP_TYPE_ARRAY", data: ascii("hello\0world") },
    },
    text: `r3 = ${address} ll\nr1 = value_of_out ll\nr2 = ${size}\ncall bpf_${helper}\nexit`,
    want,
    out: bytes,
  });
  rows([
    read("probe_read_kernel", "value_of_text", 5, 0, "68656c6c6fff"),
    read("probe_read_kernel", "0", 5, -34, "0000000000ff"),
    read("probe_read_kernel", "8", 5, -34, "0000000000ff"),
    read("probe_read_kernel", "0x8000000000000000", 5, -34, "0000000000ff"),
    read("probe_read_kernel_str", "0", 4, -34, "00000000ff"),
    read("probe_read_user", "0", 4, -14, "00000000ff"),
    read("probe_read_kernel", "0xffffffff81000000", 4, -14, "00000000ff"),
    read("probe_read_kernel", "0xfffffffffffffffe", 4, -14, "00000000ff"),
    read("probe_read_user", "value_of_text", 3, 0, "68656cff"),
    read("probe_read_kernel_str", "value_of_text", 16, 6, "68656c6c6f00ff"),
    read("probe_read_kernel_str", "value_of_text", 4, 4, "68656c00ff"),
    read("probe_read_kernel_str", "value_of_text", 1, 1, "00ff"),
    read("probe_read_user_str", "0", 4, -14, "00000000ff"),
  ]);
});
