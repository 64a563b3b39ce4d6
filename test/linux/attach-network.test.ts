// Programs on the hooks of the network stack, over real traffic in namespaces of the test's own. Needs root.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LinuxContext, RunningKernel } from "../../src/linux/index.ts";
import { versionCode } from "../../src/linux/version.ts";
import { type AttachOptions, type Link, type LinuxCollection, readObject } from "../../src/object/index.ts";
import { codeOf, openRunningKernel, whyNoLinux } from "./open.ts";
import { ip, TestNetwork, whyNoNetwork } from "./test-network.ts";

const reason = whyNoLinux() ?? whyNoNetwork();
const noPing =
  existsSync("/usr/bin/ping") || existsSync("/bin/ping") ? undefined : "needs ping (iputils-ping)";
const object = () => readObject(readFileSync(new URL("../../fixtures/linux/network.bpf.o", import.meta.url)));
const { addressA } = TestNetwork;
/** Where cgroup v2 is mounted. */
const cgroupRoot = () => / (\S+) cgroup2 /.exec(readFileSync("/proc/mounts", "latin1"))?.[1];
const text = (words: string) => new TextEncoder().encode(words);

describe.skipIf(reason !== undefined)(`networking hooks of Linux ${reason ?? ""}`, () => {
  let kernel: RunningKernel & { readonly context: LinuxContext };
  let net: TestNetwork;
  const collections: LinuxCollection[] = [];
  const links: Link[] = [];

  beforeEach(async () => {
    kernel = await openRunningKernel();
    net = new TestNetwork(kernel.context.sys);
  });

  afterEach(() => {
    for (const link of links.splice(0)) close(link);
    for (const collection of collections.splice(0)) collection[Symbol.dispose]();
    net[Symbol.dispose]();
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
    kernel[Symbol.dispose]();
  });

  /** Loads the programs and attaches the first one inside `a`. */
  async function start(names: readonly string[], options?: AttachOptions) {
    const collection = await kernel.load(object(), { programs: names });
    collections.push(collection);
    const program = (name: string) => {
      const found = collection.programs.get(name);
      if (found === undefined) throw new Error(`no program ${name}`);
      return found;
    };
    /** Attaches a program with this thread in `a`; closed at the end at the latest. */
    const attach = (name: string, to: AttachOptions) => {
      const link = net.inside(net.a, () => program(name).attach(to));
      links.push(link);
      return link;
    };
    const link = options && attach(names[0], options);
    return {
      collection,
      program,
      attach,
      link,
      count: (name = "seen") => Number(collection.globals.get(name)?.get()),
    };
  }

  const close = (link: { close(): void } | undefined) => net.inside(net.a, () => link?.close());
  const filters = () =>
    execFileSync("tc", ["-n", net.a, "filter", "show", "dev", "eth0", "ingress"], { encoding: "utf8" });
  const qdiscs = () =>
    execFileSync("tc", ["-n", net.a, "qdisc", "show", "dev", "eth0"], { encoding: "utf8" });

  describe.each([
    { name: "generic", options: { mode: "generic" } },
    { name: "native", options: { mode: "native" } },
    { name: "driver's choice", options: {} },
    { name: "generic, through netlink", options: { mode: "generic", legacy: true } },
    { name: "native, through netlink", options: { mode: "native", legacy: true } },
  ] as const)("xdp ($name)", ({ options }) => {
    it.skipIf(noPing !== undefined)(`drops ping, passes UDP, and lets go ${noPing ?? ""}`, async () => {
      const { collection, link } = await start(["drop_icmp"], { kind: "xdp", interface: "eth0", ...options });
      const receiver = net.udp(net.a, 7000);
      expect(net.ping(3)).toBe(0);
      net.udp(net.b).send(text("hello"), addressA, 7000);
      expect(receiver.receive()).toEqual(text("hello"));
      const [icmp, udp] = [1, 17].map((protocol) =>
        collection.maps.get("by_protocol")?.lookup(new Uint8Array([protocol, 0, 0, 0])),
      );
      expect([icmp?.[0], udp?.[0]]).toEqual([3, 1]);
      close(link);
      expect(net.ping(2)).toBe(2);
    });
  });

  it("xdp rewrites a datagram and sends it back", async () => {
    const { count } = await start(["echo"], { kind: "xdp", interface: "eth0", mode: "generic" });
    const sender = net.udp(net.b, 5555);
    for (const words of ["one", "two", "three"]) {
      sender.send(text(words), addressA, 7000);
      expect(sender.receive()).toEqual(text(words));
    }
    expect(count()).toBe(3);
  });

  it("xdp redirects to another interface", async () => {
    ip("-n", net.a, "link", "add", "out", "type", "veth", "peer", "name", "far");
    for (const dev of ["out", "far"]) ip("-n", net.a, "link", "set", dev, "up");
    const { collection, count, attach } = await start(["forward", "drop_icmp"], {
      kind: "xdp",
      interface: "eth0",
      mode: "generic",
    });
    const far = attach("drop_icmp", { kind: "xdp", interface: "far", mode: "generic" });
    const index = Number(/^(\d+):/.exec(ip("-n", net.a, "link", "show", "out"))?.[1]);
    net.inside(net.a, () =>
      collection.maps
        .get("ports")
        ?.update(new Uint8Array(4), new Uint8Array(new Uint32Array([index]).buffer)),
    );
    for (let i = 0; i < 5; i++) net.udp(net.b).send(text("away"), addressA, 7000);
    expect(count()).toBe(5);
    expect(collection.maps.get("by_protocol")?.lookup(new Uint8Array([17, 0, 0, 0]))?.[0]).toBe(5);
    close(far);
  });

  it("xdp on a used interface is refused, and may be replaced through netlink", async () => {
    const { link, attach } = await start(["drop_icmp", "echo"], { kind: "xdp", interface: "eth0" });
    const again = (options: object) =>
      codeOf(() => attach("echo", { kind: "xdp", interface: "eth0", ...options }));
    expect(again({})).toEqual({ code: "linux/busy", errno: "EBUSY" });
    expect(again({ legacy: true })?.code).toBe("linux/busy");
    close(link);
    const legacy = attach("drop_icmp", { kind: "xdp", interface: "eth0", legacy: true });
    expect(again({ legacy: true })?.code).toMatch(/linux\/(busy|exists)/);
    const other = attach("echo", { kind: "xdp", interface: "eth0", legacy: true, replace: true });
    close(legacy); // is no longer there: must not take off the other one
    expect(ip("-n", net.a, "link", "show", "eth0")).toContain("xdp");
    close(other);
    expect(ip("-n", net.a, "link", "show", "eth0")).not.toContain("xdp");
  });

  it("a link's program is replaced with no moment without", async () => {
    const { program, link, count } = await start(["drop_icmp", "echo"], {
      kind: "xdp",
      interface: "eth0",
      mode: "generic",
    });
    link?.update(program("echo"));
    const sender = net.udp(net.b, 5555);
    sender.send(text("x"), addressA, 7000);
    expect(sender.receive()).toEqual(text("x"));
    expect(count()).toBe(1);
  });

  it("an interface that is deleted takes the program along", async () => {
    for (const legacy of [false, true]) {
      ip("-n", net.a, "link", "add", "gone", "type", "veth", "peer", "name", "gone1");
      const { link } = await start(["drop_icmp"], {
        kind: "xdp",
        interface: "gone",
        mode: "generic",
        legacy,
      });
      ip("-n", net.a, "link", "del", "gone");
      close(link);
      expect(link?.closed).toBe(true);
    }
  });

  it("tc rewrites ports; filter and qdisc go with the link", async () => {
    const { link, count } = await start(["rewrite_port"], { kind: "tc", interface: "eth0" });
    const receiver = net.udp(net.a, 7001);
    net.udp(net.b).send(text("moved"), addressA, 7000);
    expect(receiver.receive()).toEqual(text("moved"));
    expect(count()).toBe(1);
    expect(filters()).toContain("rewrite_port");
    close(link);
    expect(filters()).toBe("");
    expect(qdiscs()).not.toContain("clsact");
  });

  it("tc keeps a qdisc that was there, and a filter of another", async () => {
    const { attach } = await start(["rewrite_port"]);
    const add = (handle: number) =>
      attach("rewrite_port", { kind: "tc", interface: "eth0", priority: 5, handle });
    const one = add(1);
    const two = add(2);
    expect(codeOf(() => add(2))).toEqual({
      code: "linux/exists",
      errno: "EEXIST",
    });
    close(one);
    expect(filters()).toContain("handle 0x2");
    expect(filters()).not.toContain("handle 0x1 ");
    close(two);
    expect(qdiscs()).toContain("clsact"); // the one that made it left earlier
  });

  it("tcx keeps an order", async ({ skip }) => {
    if (kernel.context.facts.versionCode < versionCode("6.6")) skip("tcx needs Linux 6.6");
    const { link, count, attach } = await start(["drop_all", "first", "second"], {
      kind: "tcx",
      interface: "eth0",
    });
    const add = (name: string, options: object) =>
      attach(name, { kind: "tcx", interface: "eth0", ...options });
    const front = add("first", { before: link });
    const back = add("second", { after: link });
    const receiver = net.udp(net.a, 7000);
    const sender = net.udp(net.b);
    sender.send(text("x"), addressA, 7000);
    expect(receiver.receive(100)).toBeUndefined();
    expect([count("seen"), count("second_seen")]).toEqual([2, 0]);
    close(link);
    sender.send(text("y"), addressA, 7000);
    expect(receiver.receive()).toEqual(text("y"));
    expect([count("seen"), count("second_seen")]).toEqual([3, 1]);
    expect(codeOf(() => add("drop_all", { before: front, expectedRevision: 1n }))?.errno).toBe("ESTALE");
    expect(codeOf(() => add("drop_all", { before: front, after: back }))?.code).toBe("linux/invalid");
    close(front);
    close(back);
  });

  it.each(["link", "multi", "override", "exclusive"] as const)(
    "cgroup (%s) denies a connection",
    async (how) => {
      const path = `${cgroupRoot()}/skep-test-${process.pid}-${how}`;
      mkdirSync(path);
      try {
        const { count, attach } = await start(["deny_connect"]);
        const options = { kind: "cgroup", cgroup: path, ...(how !== "link" && { legacy: how }) } as const;
        const link = attach("deny_connect", options);
        // In a child of its own, which enters the cgroup first.
        const script = `require("fs").writeFileSync(${JSON.stringify(`${path}/cgroup.procs`)}, String(process.pid));
        const tries = [9, 10].map((port) => new Promise((done) => require("net").connect(port, "127.0.0.1").on("error", (e) => done(e.code)).on("connect", () => done("connected"))));
        Promise.all(tries).then((codes) => console.log(codes.join()));`;
        const run = () => execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }).trim();
        expect(run()).toBe("EPERM,ECONNREFUSED");
        expect(count()).toBe(2);
        link.close();
        expect(run()).toBe("ECONNREFUSED,ECONNREFUSED");
        expect(count()).toBe(2);
      } finally {
        rmdirSync(path);
      }
    },
  );

  it("a cgroup that is not there, or none at all, is an error", async () => {
    const { attach } = await start(["deny_connect"]);
    const tryOn = (cgroup: string) => codeOf(() => attach("deny_connect", { kind: "cgroup", cgroup }));
    expect(tryOn(`${cgroupRoot()}/no-such-group`)).toEqual({ code: "linux/not-found", errno: "ENOENT" });
    expect(tryOn("/tmp")?.errno).toBe("EBADF");
  });

  it("a socket filter decides what a socket receives", async () => {
    const { attach } = await start(["even_only"]);
    const receiver = net.udp(net.a, 7000);
    const sender = net.udp(net.b);
    const link = attach("even_only", { kind: "socket-filter", socket: receiver.fd.number });
    for (const first of [1, 2, 3, 4]) sender.send(new Uint8Array([first]), addressA, 7000);
    expect([receiver.receive()?.[0], receiver.receive()?.[0], receiver.receive(50)]).toEqual([
      2,
      4,
      undefined,
    ]);
    link.close();
    sender.send(new Uint8Array([5]), addressA, 7000);
    expect(receiver.receive()?.[0]).toBe(5);
  });

  it("a reuseport program chooses, or refuses", async () => {
    const { count, attach } = await start(["refuse"]);
    const receiver = net.udp(net.a);
    receiver.bind(7000, true);
    const link = attach("refuse", { kind: "reuseport", socket: receiver.fd.number });
    const sender = net.udp(net.b);
    sender.send(text("x"), addressA, 7000);
    expect(receiver.receive(100)).toBeUndefined();
    expect(count()).toBe(1);
    link.close();
    sender.send(text("y"), addressA, 7000);
    expect(receiver.receive()).toEqual(text("y"));
  });

  it("sk_lookup hands connections to another port's socket", async () => {
    const { collection, count, attach } = await start(["steer"]);
    const listener = net.listener(net.a, 8080);
    const value = new Uint8Array(new BigUint64Array([BigInt(listener.fd.number)]).buffer);
    collection.maps.get("sockets")?.update(new Uint8Array(4), value);
    const link = attach("steer", { kind: "sk-lookup", netns: `/run/netns/${net.a}` });
    expect(net.tcp(net.b).connect(addressA, 7000)).toBeUndefined();
    expect(count()).toBe(1);
    const accepted = listener.accept();
    expect(accepted).toBeDefined();
    accepted?.fd.close();
    link.close();
    expect(net.tcp(net.b).connect(addressA, 7000)).toBe("ECONNREFUSED");
  });

  it("a sockmap's verdict program sees what its sockets receive", async () => {
    const { collection, count, attach } = await start(["swallow"]);
    const sockets = collection.maps.get("sockets");
    if (sockets === undefined) throw new Error("no map");
    const link = attach("swallow", { kind: "sockmap", map: sockets });
    const listener = net.listener(net.a, 8080);
    const client = net.tcp(net.b);
    expect(client.connect(addressA, 8080)).toBeUndefined();
    const accepted = listener.accept();
    if (accepted === undefined) throw new Error("not accepted");
    sockets.update(
      new Uint8Array(4),
      new Uint8Array(new BigUint64Array([BigInt(accepted.fd.number)]).buffer),
    );
    client.write(text("swallowed"));
    expect(accepted.receive(100)).toBeUndefined();
    expect(count()).toBeGreaterThan(0);
    accepted.fd.close();
    link.close();
  });

  it("a flow dissector attaches to a namespace, once", async () => {
    const { attach } = await start(["dissect"]);
    const add = () => attach("dissect", { kind: "flow-dissector", netns: `/run/netns/${net.a}` });
    const link = add();
    expect(codeOf(add)?.code).toMatch(/linux\/(busy|exists|too-big)/);
    link.close();
    add().close();
  });

  it("netfilter drops what comes in", async (context) => {
    if (kernel.context.facts.versionCode < versionCode("6.4")) context.skip("netfilter links need Linux 6.4");
    const running = await start(["nf_drop"], { kind: "netfilter", hook: "input" });
    const receiver = net.udp(net.a, 7000);
    const sender = net.udp(net.b);
    sender.send(text("x"), addressA, 7000);
    expect(receiver.receive(100)).toBeUndefined();
    expect(running.count()).toBe(1);
    close(running.link);
    sender.send(text("y"), addressA, 7000);
    expect(receiver.receive()).toEqual(text("y"));
  });

  it("there is no such interface here", async () => {
    const { attach } = await start(["drop_icmp"]);
    expect(codeOf(() => attach("drop_icmp", { kind: "xdp", interface: "nowhere0" }))?.code).toBe(
      "linux/no-interface",
    );
  });
});
