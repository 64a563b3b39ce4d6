// The commands that look at and change the running kernel. Needs root; attaches to an interface of the test's own.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromHex } from "../../src/base/index.ts";
import { parseReference, takeReference } from "../../src/cli/linux/reference.ts";
import { parseTarget, targetForms } from "../../src/cli/linux/target.ts";
import { Sys } from "../../src/linux/index.ts";
import { TestMount } from "../linux/bpf-fs.ts";
import { whyNoLinux } from "../linux/open.ts";
import { skep } from "./fake-io.ts";

/** TCP from 10.0.0.1 to 10.0.0.2, port 23. */
const TELNET = fromHex(
  "0200000000020200000000010800 4500002800010000400600000a0000010a000002 04d2001700000001000000005002200000000000",
);

/** Sends a frame out of an interface of the test's. */
async function sendFrame(dev: string, frame: Uint8Array): Promise<void> {
  const sys = await Sys.open();
  try {
    const [AF_PACKET, SOCK_RAW] = [17, 3];
    using socket = sys.own(
      sys.check({ doing: "opening a packet socket" }, "socket", AF_PACKET, SOCK_RAW, 0),
      "socket",
    );
    const address = new Uint8Array(20);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint32(4, Number(readFileSync(`/sys/class/net/${dev}/ifindex`, "latin1")), true);
    sys.check({ doing: "sending" }, "sendto", socket, frame, frame.length, 0, address, address.length);
  } finally {
    sys[Symbol.dispose]();
  }
}

const GUARD = "fixtures/demo/guard.bpf.o";
const reason = whyNoLinux();

describe("what the command line names", () => {
  it("references: names, ids, paths, and bpftool's words", () => {
    expect(parseReference("counts")).toEqual({ name: "counts" });
    expect(parseReference("17")).toEqual({ id: 17 });
    expect(parseReference("./pin")).toEqual({ pin: "./pin" });
    expect(takeReference(["name", "17", "key"])).toEqual({ reference: { name: "17" }, rest: ["key"] });
    expect(takeReference(["id", "17"])).toEqual({ reference: { id: 17 }, rest: [] });
    expect(takeReference(["pinned", "x", "y"])).toEqual({ reference: { pin: "x" }, rest: ["y"] });
    expect(() => takeReference(["id", "x"])).toThrow("'x' is no id");
    expect(() => takeReference([])).toThrow("nothing is named");
  });

  it.each([
    ["xdp:eth0:generic", { kind: "xdp", interface: "eth0", mode: "generic" }],
    ["tcx:eth0:egress", { kind: "tcx", interface: "eth0", direction: "egress" }],
    ["cgroup:/sys/fs/cgroup/a:b", { kind: "cgroup", cgroup: "/sys/fs/cgroup/a:b" }],
    ["tracepoint:sched:sched_switch", { kind: "tracepoint", category: "sched", name: "sched_switch" }],
    ["kretprobe:do_unlinkat", { kind: "kprobe", function: "do_unlinkat", retprobe: true }],
    ["usdt:/bin/a:p:n", { kind: "usdt", binary: "/bin/a", provider: "p", name: "n" }],
    ["perf-event:cpu-clock:99", { kind: "perf-event", event: "cpu-clock", frequency: 99 }],
    ["netfilter:ipv4:input:-5", { kind: "netfilter", family: "ipv4", hook: "input", priority: -5 }],
    ["trace", { kind: "trace" }],
  ])("target %s", (text, want) => expect(parseTarget(text)).toEqual(want));

  it.each([
    "xdp",
    "xdp:eth0:fast",
    "tracepoint:sched",
    "eth0",
    "perf-event:nothing",
    "netfilter:ipv4:input:x",
  ])("refuses %s", (text) =>
    expect(() => parseTarget(text)).toThrow(expect.objectContaining({ name: "UsageError" })),
  );

  it("says in --help how each kind is written", async () => {
    const { out } = await skep(["attach", "--help"]);
    for (const form of targetForms()) expect(out).toContain(`--to ${form}`);
  });

  it.each([
    ["map", "frob", "x"],
    ["map", "get", "counts"],
    ["map", "dump", "counts", "more"],
    ["pin", "table", "x", "/sys/fs/bpf/x"],
    ["detach", "by-name"],
    ["gen", GUARD, "--event", "drops"],
    ["features", "--helpers", "nonsense"],
  ])("wrong usage: skep %s %s", async (...argv) => expect((await skep(argv)).code).toBe(2));
});

describe("skep gen", () => {
  it("writes a module, with the object in it or without", async () => {
    const { code, files } = await skep(["gen", GUARD, "--event", "drops=drop_event", "-o", "guard.ts"]);
    expect(code).toBe(0);
    const text = new TextDecoder().decode(files.get("guard.ts"));
    expect(text).toContain("readonly by_protocol: TypedMap<number, Traffic>;");
    expect(text).toContain("readonly drops: TypedEvents<DropEvent>;");
    expect(text).toContain('} from "skep";');
    const { out } = await skep(["gen", GUARD, "--no-embed"]);
    expect(out).toContain("load(kernel: LinuxKernel, object: Uint8Array,");
    expect(out).not.toContain("atob");
    expect(await skep(["gen", GUARD, "--event", "nope=drop_event"])).toMatchObject({ code: 1 });
  });
});

describe.skipIf(reason !== undefined)(`on the running kernel ${reason ?? ""}`, () => {
  const dev = `skc${process.pid % 100000}`;
  let mount: TestMount;
  beforeAll(() => {
    mount = new TestMount("bpf");
    execFileSync("ip", ["link", "add", dev, "type", "veth", "peer", "name", `${dev}p`]);
  });
  afterAll(() => {
    execFileSync("ip", ["link", "del", dev]);
    mount[Symbol.dispose]();
  });
  const json = async (...argv: string[]) => {
    const { code, out, err } = await skep([...argv, "--json"]);
    expect(err).toBe("");
    expect(code).toBe(0);
    return JSON.parse(out);
  };

  it("load, ps, maps, map, pin, attach, links, detach, unpin", async () => {
    const place = `${mount.path}/guard`;
    const loaded = await json("load", GUARD, "--pin", place, "--set", "blocked_port=53");
    expect(loaded.programs).toMatchObject([{ name: "guard", type: "xdp" }]);
    expect(loaded.pinned).toContain(`${place}/maps/by_protocol`);
    const program = loaded.programs[0].id;
    const map = loaded.maps.find(({ name }: { name: string }) => name === "by_protocol").id;

    const listed = (await json("ps")).find(({ id }: { id: number }) => id === program);
    expect(listed).toMatchObject({ name: "guard", type: "BPF_PROG_TYPE_XDP", owners: [], links: [], uid: 0 });
    expect(listed.mapIds).toContain(map);
    expect((await skep(["ps"])).out).toMatch(new RegExp(`^ *${program} +xdp +guard +[0-9a-f]{16} `, "m"));
    const shown = (await json("maps")).find(({ id }: { id: number }) => id === map);
    expect(shown).toMatchObject({ name: "by_protocol", programs: [{ id: program, name: "guard" }] });
    expect((await skep(["maps"])).out).toContain("by_protocol");

    const pinned = `${place}/maps/by_protocol`;
    expect(await skep(["map", "set", pinned, "6", '{"packets": 3, "bytes": 180}'])).toMatchObject({
      code: 0,
    });
    expect(await skep(["map", "update", "id", String(map), "0x11", '{"packets": "1"}'])).toMatchObject({
      code: 0,
    });
    expect(await json("map", "dump", pinned)).toEqual(
      expect.arrayContaining([
        { key: 6, value: { packets: 3, bytes: 180 } },
        { key: 17, value: { packets: 1, bytes: 0 } },
      ]),
    );
    expect((await skep(["map", "dump", pinned])).out).toMatch(/key +packets +bytes\n/);
    expect(await json("map", "get", String(map), "6")).toEqual({ key: 6, value: { packets: 3, bytes: 180 } });
    expect(await skep(["map", "set", pinned, "6", '{"packets": 3}', "--flag", "noexist"])).toMatchObject({
      code: 1,
      err: expect.stringContaining("linux/exists"),
    });
    expect(await skep(["map", "delete", pinned, "6"])).toMatchObject({ code: 0 });
    expect(await skep(["map", "get", pinned, "6"])).toMatchObject({ code: 1 });
    expect(await skep(["map", "set", pinned, "6", '{"paquets": 3}'])).toMatchObject({
      code: 1,
      err: expect.stringContaining("members: packets, bytes"),
    });

    expect(await skep(["pin", "map", String(map), `${mount.path}/again`])).toMatchObject({ code: 0 });
    expect(await skep(["unpin", `${mount.path}/again`])).toMatchObject({ code: 0 });
    expect(await skep(["unpin", `${mount.path}/again`])).toMatchObject({ code: 1 });

    const link = `${mount.path}/link`;
    expect(
      await skep(["attach", `${place}/guard`, "--to", `xdp:${dev}:generic`, "--pin", link]),
    ).toMatchObject({
      code: 0,
    });
    const attached = (await json("links")).find(
      ({ programId }: { programId: number }) => programId === program,
    );
    expect(attached).toMatchObject({ type: "xdp", target: dev, program: "guard", owners: [] });
    expect((await skep(["ps"])).out).toContain(`xdp ${dev}`);
    expect(await skep(["detach", String(attached.id)])).toMatchObject({ code: 0 });
    expect(execFileSync("ip", ["link", "show", dev], { encoding: "utf8" })).not.toContain("xdp");
    expect(await skep(["unpin", link, `${place}/guard`])).toMatchObject({ code: 0 });
    expect((await json("ps")).some(({ id }: { id: number }) => id === program)).toBe(false);
  });

  it("attach stays as long as asked, prints events, and takes the program off", async () => {
    execFileSync("ip", ["link", "set", dev, "up"]);
    execFileSync("ip", ["link", "set", `${dev}p`, "up"]);
    const to = ["--to", `xdp:${dev}:generic`];
    const run = skep(["attach", GUARD, ...to, "--seconds", "1.5", "--event", "drops=drop_event", "--json"]);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await sendFrame(`${dev}p`, TELNET);
    const { code, out, err } = await run;
    expect({ code, err }).toEqual({ code: 0, err: `attached guard to xdp interface ${dev}` });
    expect(out.split("\n").map((line) => JSON.parse(line))).toMatchObject([
      { map: "drops", data: { dport: 23, protocol: 6, reason: "REASON_PORT" } },
    ]);
    expect(execFileSync("ip", ["link", "show", dev], { encoding: "utf8" })).not.toContain("xdp");
  });

  it("attach refuses what does not fit, and leaves nothing", async () => {
    const shapes = "fixtures/gen/shapes.bpf.o";
    const wrong = await skep(["attach", shapes, "--prog", "count", "--to", `xdp:${dev}`]);
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("linux/invalid") });
    expect((await json("ps")).some(({ name }: { name: string }) => name === "count")).toBe(false);
    expect(await skep(["attach", shapes, "--to", `xdp:${dev}`])).toMatchObject({ code: 2 });
    expect(await skep(["attach", shapes, "--prog", "nope"])).toMatchObject({ code: 1 });
  });

  it("run --kernel linux: the report of the embedded run, from the kernel", async () => {
    const argv = ["run", GUARD, "--pcap", "fixtures/demo/traffic.pcapng"];
    const more = ["--map", "blocked=fixtures/demo/blocked.json", "--event", "drops=drop_event", "--each"];
    const here = await json(...argv, ...more);
    const there = await json(...argv, ...more, "--kernel", "linux");
    for (const name of ["verdicts", "runs", "maps", "events", "packets", "bytes"]) {
      const sorted = (report: Record<string, unknown>) => {
        const { by_protocol, ...rest } = (name === "maps" ? report.maps : {}) as Record<
          string,
          { key: number }[]
        >;
        return name === "maps" ? [rest, by_protocol.sort((a, b) => a.key - b.key)] : report[name];
      };
      expect(sorted(there)).toEqual(sorted(here));
    }
    expect(there.engine).toBe("linux");
    expect(await skep([...argv, "--kernel", "linux", "--engine", "jit"])).toMatchObject({ code: 2 });
    expect(await skep([...argv, "--kernel", "linux", "--cpus", "2"])).toMatchObject({ code: 2 });
  });

  it("load without --pin leaves nothing", async () => {
    const { programs } = JSON.parse((await skep(["load", GUARD, "--json"])).out);
    expect((await json("ps")).some(({ id }: { id: number }) => id === programs[0].id)).toBe(false);
  });

  it("near names for a map that is not there", async () => {
    await skep(["load", GUARD, "--pin", `${mount.path}/near`]);
    expect(await skep(["map", "dump", "by_protocl"])).toMatchObject({
      code: 1,
      err: expect.stringContaining("by_protocol"),
    });
  });

  it("features: what there is, what is missing and how to get it", async () => {
    const report = await json("features", "--helpers", "xdp");
    expect(report.programTypes.length).toBeGreaterThan(30);
    expect(report.helpers.xdp).toContain("xdp_adjust_head");
    const { out } = await skep(["features"]);
    expect(out).toContain("Program types:");
    expect(out).toContain("yes  CAP_BPF");
    for (const { cure } of report.attach) if (cure) expect(out).toContain(cure);
  });
});
