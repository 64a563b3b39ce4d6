import { describe, expect, it } from "vitest";
import { toHex } from "../../src/base/index.ts";
import { readCapture } from "../../src/capture/index.ts";
import { skep } from "./fake-io.ts";

const GUARD = "fixtures/demo/guard.bpf.o";
const TRAFFIC = "fixtures/demo/traffic.pcapng";
/** A TCP SYN to port 23 from 192.0.2.10, ttl 64, checksum right. */
const TELNET =
  "020000000002 020000000001 0800 45000028 00004000 4006b6b5 c000020a c0000201 9c40 0017 00000001 00000000 50020200 00000000";
const BLOCKED = JSON.stringify([{ key: { prefixlen: 24, addr: [192, 0, 2, 0] }, value: 7 }]);

async function report(argv: readonly string[], inputs = {}) {
  const { code, out, err } = await skep(["run", ...argv, "--json"], inputs);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out);
}

describe("skep run", () => {
  it("counts verdicts, fills maps and events of the demo", async () => {
    const got = await report([GUARD, "--pcap", TRAFFIC, "--event", "drops=drop_event"]);
    expect(got).toMatchObject({
      object: GUARD,
      program: "guard",
      type: "xdp",
      engine: "interpreter",
      packets: 270,
      lost: 0,
    });
    expect(got.verdicts).toEqual({ XDP_PASS: 260, XDP_DROP: 10 });
    // tshark -r traffic.pcapng -q -z io,phs counts the same packets.
    const packets = got.maps.by_protocol.map((entry: { key: number; value: { packets: number } }) => [
      entry.key,
      entry.value.packets,
    ]);
    expect(packets.sort(([a]: number[], [b]: number[]) => a - b)).toEqual([
      [1, 10],
      [6, 208],
      [17, 47],
    ]);
    expect(got.events.drops).toHaveLength(10);
    expect(got.events.drops[0]).toMatchObject({ dport: 23, reason: "REASON_PORT", protocol: 6, length: 40 });
    expect(got.nsPerPacket).toBeGreaterThan(0);
  });

  it("--set changes a constant before the program is loaded", async () => {
    const got = await report([GUARD, "--hex", TELNET, "--set", "blocked_port=0"]);
    expect(got.verdicts).toEqual({ XDP_PASS: 1 });
  });

  it("--map fills a map from JSON shaped like its types", async () => {
    const got = await report([GUARD, "--hex", TELNET, "--map", "blocked=list.json"], {
      "list.json": BLOCKED,
    });
    expect(got.maps.blocked).toEqual([{ key: { prefixlen: 24, addr: [192, 0, 2, 0] }, value: 8 }]);
  });

  it("--map takes hex as well", async () => {
    const inputs = { "list.json": '[{"key": "0x18000000c0000200", "value": "0x0700000000000000"}]' };
    const got = await report([GUARD, "--hex", TELNET, "--map", "blocked=list.json"], inputs);
    expect(got.maps.blocked[0].value).toBe(8);
  });

  it("--each gives return value and packet of every run", async () => {
    const got = await report([GUARD, "--hex", TELNET, "--set", "blocked_port=0", "--each"]);
    expect(got.runs).toHaveLength(1);
    expect(got.runs[0].retval).toBe(2);
    expect(got.runs[0].packet.slice(44, 46)).toBe("3f"); // ttl 64 → 63
    expect(got.runs[0].packet.slice(48, 52)).toBe("b7b5"); // checksum follows
  });

  it("--filter takes packets by their number", async () => {
    const { packets, bytes } = readCapture(new Uint8Array(await capture()))
      .packets.slice(1, 5)
      .reduce((sum, packet) => ({ packets: sum.packets + 1, bytes: sum.bytes + packet.data.length }), {
        packets: 0,
        bytes: 0,
      });
    expect(await report([GUARD, "--pcap", TRAFFIC, "--filter", "2..5"])).toMatchObject({ packets, bytes });
  });

  it.each([
    { choice: "passed", count: 260 },
    { choice: "all", count: 270 },
    { choice: "changed", count: 255 },
  ])("--write keeps $choice packets", async ({ choice, count }) => {
    const { code, files } = await skep([
      "run",
      GUARD,
      "--pcap",
      TRAFFIC,
      "--write",
      "out.pcapng",
      "--write-only",
      choice,
    ]);
    expect(code).toBe(0);
    const { packets, problem } = readCapture(files.get("out.pcapng")!);
    expect(problem).toBeUndefined();
    expect(packets).toHaveLength(count);
  });

  it("reads the capture from standard input", async () => {
    expect(await report([GUARD, "--pcap", "-"], { "-": await capture() })).toMatchObject({ packets: 270 });
  });

  it("keeps going over a capture that was cut, and says so", async () => {
    const bytes = await capture();
    const { code, out, err } = await skep(["run", GUARD, "--pcap", "cut.pcapng", "--json"], {
      "cut.pcapng": bytes.subarray(0, bytes.length - 5),
    });
    expect(code).toBe(0);
    expect(JSON.parse(out).packets).toBe(269);
    expect(err).toContain("[capture/truncated]");
  });

  it("prints tables for people", async () => {
    const { code, out } = await skep(["run", GUARD, "--pcap", TRAFFIC]);
    expect(code).toBe(0);
    expect(out).toMatch(/^guard \(xdp, .*\): 270 packets/);
    expect(out).toMatch(/XDP_PASS\s+260\s+96\.3%/);
    expect(out).toMatch(/Map by_protocol \(3 entries\)\nkey\s+packets\s+bytes\n/);
  });

  async function capture(): Promise<Uint8Array> {
    const { readFileSync } = await import("node:fs");
    return readFileSync(new URL(`../../${TRAFFIC}`, import.meta.url));
  }
});

describe("skep run: what can go wrong", () => {
  it.each([
    { name: "no object", argv: ["run"], code: 2, says: /missing required argument 'object'/ },
    {
      name: "unknown option",
      argv: ["run", GUARD, "--pcp", "x"],
      code: 2,
      says: /unknown option '--pcp'[\s\S]*--pcap/,
    },
    { name: "unknown command", argv: ["rnu"], code: 2, says: /unknown command 'rnu'[\s\S]*run/ },
    {
      name: "no such file",
      argv: ["run", "nothing.o", "--hex", "00"],
      code: 1,
      says: /nothing\.o: no such file \[cli\/no-such-file\]/,
    },
    { name: "no ELF file", argv: ["run", "README.md", "--hex", "00"], code: 1, says: /\[elf\/[a-z-]+\]/ },
    {
      name: "no input",
      argv: ["run", GUARD],
      code: 2,
      says: /nothing to run the program on[\s\S]*--pcap FILE/,
    },
    {
      name: "two inputs",
      argv: ["run", GUARD, "--pcap", TRAFFIC, "--hex", "00"],
      code: 2,
      says: /exclude each other/,
    },
    {
      name: "no such program",
      argv: ["run", GUARD, "--prog", "nope", "--hex", "00"],
      code: 2,
      says: /has no program 'nope'[\s\S]*guard/,
    },
    {
      name: "bad hex",
      argv: ["run", GUARD, "--hex", "0g"],
      code: 1,
      says: /'g' at digit 1 is not a hex digit/,
    },
    { name: "bad number", argv: ["run", GUARD, "--hex", "00", "--repeat", "0"], code: 2, says: /at least 1/ },
    {
      name: "bad range",
      argv: ["run", GUARD, "--pcap", TRAFFIC, "--filter", "5..2"],
      code: 2,
      says: /range 5\.\.2 is empty/,
    },
    {
      name: "bad type",
      argv: ["run", GUARD, "--hex", "00", "--type", "xpd"],
      code: 2,
      says: /'xpd' is no program type[\s\S]*xdp/,
    },
    {
      name: "unknown global",
      argv: ["run", GUARD, "--hex", TELNET, "--set", "blokced=1"],
      code: 1,
      says: /blokced[\s\S]*blocked_port/,
    },
    {
      name: "value too large for a global",
      argv: ["run", GUARD, "--hex", TELNET, "--set", "blocked_port=70000"],
      code: 1,
      says: /blocked_port[\s\S]*70000/,
    },
    {
      name: "unknown map",
      argv: ["run", GUARD, "--hex", TELNET, "--map", "nope=fixtures/demo/blocked.json"],
      code: 2,
      says: /no map 'nope'[\s\S]*by_protocol/,
    },
    {
      name: "map file that is no JSON",
      argv: ["run", GUARD, "--hex", TELNET, "--map", "blocked=README.md"],
      code: 2,
      says: /README\.md is not JSON/,
    },
    {
      name: "map entry of the wrong shape",
      argv: ["run", GUARD, "--hex", TELNET, "--map", "blocked=bad.json"],
      code: 2,
      says: /entry 0 does not go into map 'blocked'[\s\S]*prefixlen/,
    },
    {
      name: "unknown event type",
      argv: ["run", GUARD, "--hex", TELNET, "--event", "drops=nope"],
      code: 2,
      says: /no type 'nope'/,
    },
    {
      name: "no capture",
      argv: ["run", GUARD, "--pcap", "README.md"],
      code: 1,
      says: /no pcap or pcapng file[\s\S]*tcpdump/,
    },
    {
      name: "packet shorter than an Ethernet header",
      argv: ["run", GUARD, "--hex", "0011"],
      code: 1,
      says: /packet 1: [\s\S]*14/,
    },
    {
      name: "a program that Linux would not load",
      argv: ["run", "fixtures/demo/unchecked.bpf.o", "--hex", "0200000000020200000000010800"],
      code: 1,
      says: /prog 'unchecked': R1 offset is outside of the packet \[verifier\/[\s\S]*unchecked\.bpf\.c:15[\s\S]*ip->ttl/,
    },
    {
      name: "the same program unverified, on a packet that is too short for it",
      argv: ["run", "fixtures/demo/unchecked.bpf.o", "--hex", "0200000000020200000000010800", "--unverified"],
      code: 1,
      says: /packet 1: [\s\S]*14 bytes \[runtime\/out-of-bounds\][\s\S]*unchecked\.bpf\.c:15[\s\S]*ip->ttl[\s\S]*hint: .*data_end/,
    },
    {
      name: "instruction limit",
      argv: ["run", GUARD, "--hex", TELNET, "--max-insns", "10"],
      code: 1,
      says: /packet 1: [\s\S]*\[runtime\/[\s\S]*-->/,
    },
  ])("$name: exit code $code", async ({ argv, code, says }) => {
    const got = await skep(argv, { "bad.json": '[{"key": {"prefixlen": "x"}, "value": 0}]' });
    expect(got.err).toMatch(says);
    expect(got.code).toBe(code);
    expect(got.out).toBe("");
  });
});

describe("skep run in batches", () => {
  const PACKETS = "fixtures/batch/packets.bpf.o";
  const same = async (argv: readonly string[]) => {
    const reports = [];
    for (const engine of ["interpreter", "jit"]) {
      const { code, out, err, files } = await skep(["run", ...argv, "--engine", engine, "--json"]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      const { nsPerPacket, engine: named, ...rest } = JSON.parse(out);
      expect(named).toBe(engine);
      expect(nsPerPacket).toBeGreaterThan(0);
      reports.push({ ...rest, files: [...files].map(([name, bytes]) => [name, toHex(bytes)]) });
    }
    expect(reports[1]).toEqual(reports[0]);
    return reports[1];
  };

  it.each([
    ["the demo", [GUARD, "--event", "drops=drop_event"]],
    ["bytes after each run", [GUARD, "--each"]],
    ["a range of packets", [GUARD, "--filter", "20..120"]],
    [
      "an interface and a CPU",
      [PACKETS, "--prog", "xdp_count", "--ifindex", "1", "--cpus", "2", "--cpu", "1"],
    ],
    ["a capture of what passed", [PACKETS, "--prog", "xdp_shape", "--write", "out.pcapng"]],
    [
      "a capture of what changed",
      [PACKETS, "--prog", "tc_touch", "--write", "o.pcap", "--write-only", "changed"],
    ],
    ["packets from the network header on", [PACKETS, "--prog", "filter", "--write", "o.pcapng"]],
    ["events of every packet", [PACKETS, "--prog", "xdp_share"]],
  ])("gives the same for %s", async (_what, argv) => {
    const { packets } = await same([...argv, "--pcap", TRAFFIC]);
    expect(packets).toBeGreaterThan(90);
  });

  it("names the packet that stops it", async () => {
    const argv = [
      "run",
      PACKETS,
      "--prog",
      "xdp_count",
      "--pcap",
      TRAFFIC,
      "--engine",
      "jit",
      "--max-insns",
      "3",
    ];
    const { code, err } = await skep(argv);
    expect(code).toBe(1);
    expect(err).toContain("packet 1: ");
  });
});
