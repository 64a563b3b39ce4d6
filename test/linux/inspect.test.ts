// What `kernel.inspect` says of what is loaded, held against what was loaded and against bpftool. Needs root.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { helpersOf as knownHelpersOf } from "../../src/abi/index.ts";
import { openKernel } from "../../src/kernel/index.ts";
import { readObject, typedMap } from "../../src/object/index.ts";
import { mapSpec, specOf } from "../../src/runtime/spec.fixture.ts";
import { TestMount } from "./bpf-fs.ts";
import { codeOf, openRunningKernel, whyNoLinux } from "./open.ts";

const reason = whyNoLinux();
const guard = () => readObject(readFileSync(new URL("../../fixtures/demo/guard.bpf.o", import.meta.url)));
const BPFTOOL = ["/usr/sbin/bpftool", "/usr/local/sbin/bpftool"].find(existsSync);
const XDP_PASS = { text: "r0 = 2\nexit", type: "BPF_PROG_TYPE_XDP" } as const;

function bpftool(...args: string[]): unknown {
  return JSON.parse(execFileSync(BPFTOOL!, ["--json", ...args], { encoding: "utf8" }));
}

describe.skipIf(reason !== undefined)(`looking at the running kernel ${reason ?? ""}`, () => {
  it("lists programs, maps and links, with what holds them", async () => {
    using kernel = await openKernel("linux");
    using collection = await kernel.load(guard());
    const program = collection.programs.get("guard")!;
    const map = collection.maps.get("by_protocol")!;
    const { inspect } = kernel;
    const info = [...inspect.programs()].find(({ id }) => id === program.id);
    expect(info).toMatchObject({
      type: "BPF_PROG_TYPE_XDP",
      name: "guard",
      tag: expect.stringMatching(/^[0-9a-f]{16}$/),
      gplCompatible: true,
      uid: 0,
      verifiedInsns: program.verifiedInsns,
    });
    expect(Math.abs(Date.now() - info!.loadedAt.getTime())).toBeLessThan(5000);
    expect([...info!.mapIds].sort()).toEqual([...collection.maps.values()].map(({ id }) => id).sort());
    expect([...inspect.maps()].find(({ id }) => id === map.id)).toMatchObject({
      type: "BPF_MAP_TYPE_HASH",
      name: "by_protocol",
      keySize: 1,
      valueSize: 16,
      maxEntries: 64,
      frozen: false,
    });
    expect([...inspect.maps()].find(({ id }) => id === collection.maps.get(".rodata")!.id)?.frozen).toBe(
      true,
    );
    const owners = inspect.owners();
    for (const held of [owners.programs.get(program.id), owners.maps.get(map.id)]) {
      expect(held?.map(({ pid }) => pid)).toEqual([process.pid]);
    }
    const { id } = program;
    collection[Symbol.dispose]();
    expect([...inspect.programs()].some((left) => left.id === id)).toBe(false);
    expect(kernel.held.fds).toBe(0);
  });

  it("links: kind, place and owner; detached from outside, the link is dead", async () => {
    using kernel = await openKernel("linux");
    const text = "r0 = 0\nexit";
    using collection = await kernel.load(specOf({ text, type: "BPF_PROG_TYPE_RAW_TRACEPOINT" }));
    const [program] = collection.programs.values();
    const link = program.attach({ kind: "raw-tracepoint", name: "sched_process_fork" });
    const { inspect } = kernel;
    const mine = () => [...inspect.links()].find(({ id }) => id === link.id);
    expect(mine()).toMatchObject({
      type: "raw_tracepoint",
      programId: program.id,
      target: "sched_process_fork",
      details: { tp_name: "sched_process_fork" },
    });
    expect(inspect.owners().links.get(link.id!)?.[0].pid).toBe(process.pid);
    // Only some kinds of links can be detached; the error says what ends the others.
    expect(codeOf(() => inspect.detach({ id: link.id! }))?.code).toBe("linux/unsupported");
    link.close();
    expect(mine()).toBeUndefined();
  });

  it("opens a map of anybody's by id, name and pin, with its types", async () => {
    using mount = new TestMount("bpf");
    using theirs = await openKernel("linux");
    using collection = await theirs.load(guard());
    const made = collection.maps.get("by_protocol")!;
    made.pin(`${mount.path}/counts`);
    typedMap(made).update(6, { packets: 3, bytes: 4 });
    using kernel = await openKernel("linux");
    for (const reference of [{ id: made.id }, { pin: `${mount.path}/counts` }]) {
      using opened = kernel.inspect.openMap(reference);
      expect([...typedMap(opened)]).toEqual([[6, { packets: 3n, bytes: 4n }]]);
    }
    expect(codeOf(() => kernel.inspect.openMap({ id: 0x7fffffff }))?.code).toBe("linux/not-found");
    expect(codeOf(() => kernel.inspect.openMap({ pin: `${mount.path}/none` }))).toEqual({
      code: "linux/not-found",
      errno: "ENOENT",
    });
    expect(codeOf(() => kernel.inspect.openProgram({ pin: `${mount.path}/counts` }))?.code).toBe(
      "linux/invalid",
    );
    expect(() => kernel.inspect.openMap({ name: "by_protocal" })).toThrow(
      expect.objectContaining({ code: "linux/not-found", hint: expect.stringContaining("by_protocol") }),
    );
    using _twice = await theirs.load(guard());
    expect(codeOf(() => kernel.inspect.openMap({ name: "by_protocol" }))?.code).toBe("linux/ambiguous");
    expect(kernel.held.fds).toBe(0);
  });

  it("pins a whole collection, or nothing of it; a pinned program runs again", async () => {
    using mount = new TestMount("bpf");
    using kernel = await openKernel("linux");
    const directory = `${mount.path}/guard`;
    {
      using collection = await kernel.load(guard());
      const pins = kernel.inspect.pinAll(collection, directory);
      expect(pins).toContain(`${directory}/guard`);
      expect(pins).toContain(`${directory}/maps/by_protocol`);
      expect(codeOf(() => kernel.inspect.pinAll(collection, directory))?.code).toBe("linux/exists");
      expect(existsSync(`${directory}/guard`)).toBe(true);
      expect(codeOf(() => kernel.inspect.pinAll(collection, `${mount.path}/no/such`))?.code).toBe(
        "linux/not-found",
      );
      expect(codeOf(() => kernel.inspect.pinAll(collection, "/tmp/skep-no-bpffs"))).toBeDefined();
      expect(existsSync("/tmp/skep-no-bpffs")).toBe(false);
    }
    expect(kernel.held.fds).toBe(0);
    using program = kernel.inspect.openProgram({ pin: `${directory}/guard` });
    expect(program.name).toBe("guard");
    expect(program.run({ data: new Uint8Array(64) }).retval).toBe(2);
    kernel.inspect.unpin(`${directory}/guard`);
    expect(codeOf(() => kernel.inspect.unpin(`${directory}/guard`))?.code).toBe("linux/not-found");
    expect(codeOf(() => kernel.inspect.unpin("/etc/hostname"))).toBeDefined();
    expect(existsSync("/etc/hostname")).toBe(true);
  });

  it("counts runs while statistics are on", async () => {
    using kernel = await openRunningKernel();
    const { sys } = kernel.context;
    const text = "r0 = -1\nexit";
    using collection = await kernel.load(specOf({ text, type: "BPF_PROG_TYPE_SOCKET_FILTER" }));
    const [program] = collection.programs.values();
    const pair = new Uint8Array(8);
    const [AF_UNIX, SOCK_DGRAM] = [1, 2];
    expect(sys.call("socketpair", AF_UNIX, SOCK_DGRAM, 0, pair)).toBe(0);
    const [sender, receiver] = new Int32Array(pair.buffer);
    using _link = program.attach({ kind: "socket-filter", socket: receiver });
    const send = () => {
      for (let i = 0; i < 7; i++) sys.call("write", sender, new Uint8Array(8), 8);
    };
    const info = () => [...kernel.inspect.programs()].find(({ id }) => id === program.id)!;
    send();
    expect(info().runCount).toBe(0n);
    {
      using _stats = kernel.inspect.enableStats();
      send();
    }
    send();
    expect(info().runCount).toBe(7n);
    expect(info().runTimeNs).toBeGreaterThan(0n);
    for (const fd of [sender, receiver]) sys.call("close", fd);
  });

  it("finds what the kernel takes, and which helpers", async () => {
    using kernel = await openKernel("linux");
    const report = kernel.inspect.features();
    const type = (name: string) => report.programTypes.find((row) => row.type === name);
    expect(report.kernel).toBe(kernel.version);
    expect(report.capabilities.missing).toEqual([]);
    expect(type("BPF_PROG_TYPE_XDP")).toMatchObject({ available: true, since: "4.8" });
    for (const { available, errno } of [...report.programTypes, ...report.mapTypes]) {
      expect(available).toBe(errno === undefined);
    }
    expect(
      report.mapTypes
        .filter(({ type }) => /HASH$|ARRAY$|RINGBUF$/.test(type))
        .every(({ available }) => available),
    ).toBe(true);
    const helpers = kernel.inspect.helpersOf("BPF_PROG_TYPE_XDP");
    const known = knownHelpersOf("BPF_PROG_TYPE_XDP")!;
    expect(helpers.filter((name) => !known.has(name as never))).toEqual([]);
    expect(helpers).toContain("xdp_adjust_head");
    expect(helpers).not.toContain("skb_load_bytes");
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
  });

  it("entries in batches give every key once, also while the loop deletes", async () => {
    using kernel = await openRunningKernel();
    const hash = mapSpec("h", { type: "BPF_MAP_TYPE_HASH", maxEntries: 5000 });
    using collection = await kernel.load(specOf(XDP_PASS, [hash]));
    const map = typedMap<Uint8Array, Uint8Array>(collection.maps.get("h")!);
    const { keySize, valueSize } = map.map.spec;
    const key = (n: number) => new Uint8Array(new Uint32Array([n, ...Array(keySize / 4 - 1).fill(0)]).buffer);
    map.updateAll(Array.from({ length: 5000 }, (_, n) => [key(n), new Uint8Array(valueSize)] as const));
    const seen = new Set<number>();
    for (const [bytes] of map) {
      seen.add(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true));
      expect(map.delete(bytes)).toBe(true);
    }
    expect(seen.size).toBe(5000);
    expect([...map]).toEqual([]);
  });
});

describe.skipIf(reason !== undefined || BPFTOOL === undefined)(
  `beside bpftool ${reason ?? (BPFTOOL ? "" : "needs bpftool")}`,
  () => {
    it("the same ids, names, tags and sizes", async () => {
      using kernel = await openKernel("linux");
      using collection = await kernel.load(guard());
      const program = collection.programs.get("guard")!;
      const map = collection.maps.get("by_protocol")!;
      const info = [...kernel.inspect.programs()].find(({ id }) => id === program.id)!;
      expect(bpftool("prog", "show", "id", String(program.id))).toMatchObject({
        id: info.id,
        type: "xdp",
        name: info.name,
        tag: info.tag,
        gpl_compatible: info.gplCompatible,
        uid: info.uid,
        bytes_xlated: info.xlatedBytes,
        bytes_jited: info.jitedBytes,
        bytes_memlock: info.memoryBytes,
        map_ids: info.mapIds,
        btf_id: info.btfId,
      });
      const mapInfo = [...kernel.inspect.maps()].find(({ id }) => id === map.id)!;
      expect(bpftool("map", "show", "id", String(map.id))).toMatchObject({
        id: mapInfo.id,
        type: "hash",
        name: mapInfo.name,
        flags: mapInfo.flags,
        bytes_key: mapInfo.keySize,
        bytes_value: mapInfo.valueSize,
        max_entries: mapInfo.maxEntries,
        bytes_memlock: mapInfo.memoryBytes,
        frozen: 0,
        btf_id: mapInfo.btfId,
      });
      typedMap(map).update(17, { packets: 1, bytes: 2n ** 60n });
      const [dumped] = bpftool("map", "dump", "id", String(map.id)) as [{ formatted: unknown }];
      expect(dumped.formatted).toEqual({ key: 17, value: { packets: 1, bytes: 2 ** 60 } });
      const links = bpftool("link", "show");
      const ours = [...kernel.inspect.links()].map(({ id }) => id);
      expect(ours).toEqual(expect.arrayContaining((links as { id: number }[]).map(({ id }) => id)));
    });
  },
);
