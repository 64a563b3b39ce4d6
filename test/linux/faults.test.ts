// Faults from outside: rights taken away, full maps, wrong filesystems, interfaces that go, processes that are killed. Each is
// a typed error, and nothing is left behind. Needs root; in interfaces, filesystems and processes of the test's own.
import { type ChildProcess, execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openKernel } from "../../src/kernel/index.ts";
import { mapSpec, specOf } from "../../src/runtime/spec.fixture.ts";
import { TestMount } from "./bpf-fs.ts";
import { ChildScript, ended } from "./child.ts";
import { codeOf, openRunningKernel, whyNoLinux } from "./open.ts";

const reason = whyNoLinux();
const noSetpriv =
  spawnSync("setpriv", ["--version"]).error === undefined ? undefined : "needs setpriv (util-linux)";
const XDP_PASS = { text: "r0 = 2\nexit", type: "BPF_PROG_TYPE_XDP" } as const;
const NOTHING = { fds: 0, mappings: 0, cleanups: 0 };

/** Loads an XDP program with a map, runs it, attaches it where the argument says, and tells what happened. */
const WITH_FEW_RIGHTS = `
  import { openKernel } from "./src/kernel/index.ts";
  import { mapSpec, specOf } from "./src/runtime/spec.fixture.ts";
  const kernel = await openKernel("linux");
  const told = {};
  try {
    const spec = specOf({ text: "r0 = 2\\nexit", type: "BPF_PROG_TYPE_XDP" }, [mapSpec("values")]);
    const collection = await kernel.load(spec);
    const [program] = collection.programs.values();
    told.retval = program.run({ data: new Uint8Array(64) }).retval;
    told.link = program.attach({ kind: "xdp", interface: process.argv[2], mode: "generic" }).id;
    [...kernel.inspect.programs()];
  } catch ({ code, errno, message, hint }) {
    told.error = { code, errno, message, hint };
  }
  kernel[Symbol.dispose]();
  told.held = kernel.held;
  process.stdout.write(JSON.stringify(told));
`;

/** Holds a perf event, a link and a legacy tc filter; then waits, or throws. */
const HOLDER = `
  import { openKernel } from "./src/kernel/index.ts";
  import { specOf } from "./src/runtime/spec.fixture.ts";
  const kernel = await openKernel("linux");
  const load = async (type) => [...(await kernel.load(specOf({ text: "r0 = 0\\nexit", type }))).programs.values()][0];
  const raw = (await load("BPF_PROG_TYPE_RAW_TRACEPOINT")).attach({ kind: "raw-tracepoint", name: "sched_process_fork" });
  const event = (await load("BPF_PROG_TYPE_PERF_EVENT")).attach({ kind: "perf-event", event: "cpu-clock", frequency: 10, pid: process.pid });
  const tc = (await load("BPF_PROG_TYPE_SCHED_CLS")).attach({ kind: "tc", interface: process.argv[2] });
  console.log(JSON.stringify({ raw: raw.id, programs: [...kernel.context.programs.keys()] }));
  if (process.argv[3] === "throw") setTimeout(() => { throw new Error("nobody catches this"); }, 50);
  setInterval(() => {}, 1000);
  globalThis.kept = [raw, event, tc];
`;

describe.skipIf(reason !== undefined)(`faults ${reason ?? ""}`, () => {
  const dev = `skf${process.pid % 100000}`;
  const filters = () => execFileSync("tc", ["filter", "show", "dev", dev, "ingress"], { encoding: "utf8" });
  const makeInterface = () =>
    execFileSync("ip", ["link", "add", dev, "type", "veth", "peer", "name", `${dev}p`]);
  const removeInterface = () => spawnSync("ip", ["link", "del", dev]);
  beforeAll(makeInterface);
  afterAll(() => void removeInterface());

  describe.skipIf(noSetpriv !== undefined)(`with fewer rights ${noSetpriv ?? ""}`, () => {
    let script: ChildScript;
    beforeAll(async () => {
      script = await ChildScript.bundle(WITH_FEW_RIGHTS);
    });
    afterAll(() => script[Symbol.dispose]());
    const told = (...capabilities: string[]) => {
      const set = ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
      return JSON.parse(script.run([dev], ["setpriv", `--bounding-set=${set}`]));
    };

    it("CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are enough for all but ids", () => {
      const { retval, link, error, held } = told("bpf", "perfmon", "net_admin");
      expect(retval).toBe(2);
      expect(link).toBeGreaterThan(0);
      expect(error).toMatchObject({ code: "linux/no-capability", errno: "EPERM" });
      expect(error.message).toContain("CAP_SYS_ADMIN missing");
      expect(error.hint).toContain("sudo");
      expect(held).toEqual(NOTHING);
    });

    it.each([
      { has: ["bpf", "perfmon"], lacks: "CAP_NET_ADMIN" },
      { has: ["net_admin"], lacks: "CAP_BPF" },
      { has: ["chown"], lacks: "CAP_BPF" },
    ])("$has: $lacks is named", ({ has, lacks }) => {
      const { error, held } = told(...has);
      expect(error).toMatchObject({ code: "linux/no-capability", errno: "EPERM" });
      expect(error.message).toContain(lacks);
      expect(error.hint).toContain("setcap");
      expect(held).toEqual(NOTHING);
    });
  });

  it("maps that are full: E2BIG and ENOSPC, by type", async () => {
    using kernel = await openRunningKernel();
    const maps = [
      mapSpec("hash", { type: "BPF_MAP_TYPE_HASH", maxEntries: 1 }),
      mapSpec("trie", { type: "BPF_MAP_TYPE_LPM_TRIE", keySize: 8, maxEntries: 1, flags: 1 }),
      mapSpec("queue", { type: "BPF_MAP_TYPE_QUEUE", keySize: 0, maxEntries: 1 }),
    ];
    using collection = await kernel.load(specOf(XDP_PASS, maps));
    const fill = (name: string) => {
      const map = collection.maps.get(name)!;
      const key = (n: number) => new Uint8Array(map.spec.keySize).fill(n, 4 * Number(name === "trie"));
      const lpm = (n: number) => {
        const bytes = key(n);
        if (name === "trie") bytes[0] = 32;
        return bytes;
      };
      map.update(lpm(1), new Uint8Array(map.spec.valueSize));
      return codeOf(() => map.update(lpm(2), new Uint8Array(map.spec.valueSize)));
    };
    expect(fill("hash")).toEqual({ code: "linux/too-big", errno: "E2BIG" });
    expect(fill("trie")).toEqual({ code: "linux/no-space", errno: "ENOSPC" });
    expect(fill("queue")).toEqual({ code: "linux/too-big", errno: "E2BIG" });
  });

  it("EBUSY on attach: the second program is refused, the first stays", async () => {
    using kernel = await openRunningKernel();
    using collection = await kernel.load(specOf(XDP_PASS));
    const [program] = collection.programs.values();
    const target = { kind: "xdp", interface: dev, mode: "generic" } as const;
    const link = program.attach(target);
    const held = kernel.held;
    expect(codeOf(() => program.attach(target))?.code).toMatch(/^linux\/(busy|exists)$/);
    expect(kernel.held).toEqual(held);
    link.close();
    program.attach(target).close();
  });

  it("an interface that is deleted takes the attachment along; closing it afterwards is no error", async () => {
    using kernel = await openRunningKernel();
    using collection = await kernel.load(specOf(XDP_PASS));
    const [program] = collection.programs.values();
    const link = program.attach({ kind: "xdp", interface: dev, mode: "generic" });
    removeInterface();
    try {
      const info = [...kernel.inspect.links()].find(({ id }) => id === link.id);
      expect(info?.target).toBe("(interface is gone)");
      expect(() => link.close()).not.toThrow();
      expect(codeOf(() => program.attach({ kind: "xdp", interface: dev }))?.code).toBe("linux/no-interface");
    } finally {
      makeInterface();
    }
  });

  it("pins where they cannot be: another filesystem, a full one, a read-only one, no directory", async () => {
    using kernel = await openRunningKernel();
    using collection = await kernel.load(specOf(XDP_PASS, [mapSpec("values")]));
    const map = collection.maps.get("values")!;
    using full = new TestMount("tmpfs", "size=4k,nr_inodes=1");
    expect(() => writeFileSync(`${full.path}/file`, "x")).toThrow("ENOSPC");
    for (const path of [`${full.path}/map`, "/proc/self/map"]) {
      const error = codeOf(() => map.pin(path));
      expect(["EPERM", "ENOSPC", "ENOENT", "EACCES"]).toContain(error?.errno);
    }
    expect(codeOf(() => kernel.inspect.pinAll(collection, `${full.path}/all`))).toEqual({
      code: "linux/no-space",
      errno: "ENOSPC",
    });
    expect(readdirSync(full.path)).toEqual([]);
    using frozen = new TestMount("bpf", "ro");
    expect(codeOf(() => map.pin(`${frozen.path}/map`))?.errno).toMatch(/EROFS|EPERM/);
    using bpf = new TestMount("bpf");
    expect(codeOf(() => map.pin(`${bpf.path}/no/map`))).toEqual({ code: "linux/not-found", errno: "ENOENT" });
    map.pin(`${bpf.path}/map`);
    expect(codeOf(() => map.pin(`${bpf.path}/map`))).toEqual({ code: "linux/exists", errno: "EEXIST" });
    expect(existsSync(`${bpf.path}/map`)).toBe(true);
  });

  it.each([
    { how: "SIGKILL", filterStays: true },
    { how: "SIGTERM", filterStays: false },
    { how: "SIGINT", filterStays: false },
    { how: "SIGHUP", filterStays: false },
    { how: "throw", filterStays: false },
  ] as const)(
    "a process that ends by $how: its links and perf events end; legacy filters are taken off where it could",
    async ({ how, filterStays }) => {
      using script = await ChildScript.bundle(HOLDER);
      using kernel = await openKernel("linux");
      let child: ChildProcess | undefined;
      try {
        const started = await script.start([dev, how]);
        child = started.child;
        const { line } = started;
        const { raw, programs } = JSON.parse(line);
        expect([...kernel.inspect.links()].some(({ id }) => id === raw)).toBe(true);
        expect(filters()).toContain("bpf");
        if (how !== "throw") child.kill(how);
        await ended(child);
        // What only a killed process leaves is what the kernel itself keeps: the filter on the interface.
        expect(filters().includes("bpf")).toBe(filterStays);
        await expect
          .poll(() => [...kernel.inspect.links()].some(({ id }) => id === raw), { timeout: 5000 })
          .toBe(false);
        const left = () => [...kernel.inspect.programs()].filter(({ id }) => programs.includes(id)).length;
        await expect.poll(left, { timeout: 5000 }).toBe(filterStays ? 1 : 0);
      } finally {
        child?.kill("SIGKILL");
        spawnSync("tc", ["qdisc", "del", "dev", dev, "clsact"]);
      }
    },
  );
});
