import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { type Fd, linuxError, type Sys } from "../../src/linux/index.ts";

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const POLLIN = 1;

/** Why no network can be made here; undefined when it can. */
export function whyNoNetwork(): string | undefined {
  return existsSync("/usr/sbin/ip") || existsSync("/sbin/ip") ? undefined : "needs ip (iproute2)";
}

let made = 0;

/**
 * Two network namespaces of their own, `a` (10.77.1.1) and `b` (10.77.1.2), joined by a veth pair whose ends are both
 * called `eth0`. Sockets are made by system calls of this thread inside of them. Disposing removes all of it.
 */
export class TestNetwork implements Disposable {
  readonly a: string;
  readonly b: string;
  static readonly addressA = "10.77.1.1";
  static readonly addressB = "10.77.1.2";
  private readonly sys: Sys;
  private readonly home: number;
  private readonly sockets: Fd[] = [];

  constructor(sys: Sys) {
    this.sys = sys;
    this.home = openSync("/proc/thread-self/ns/net", "r");
    const prefix = `skep-${process.pid}-${made++}`;
    this.a = `${prefix}a`;
    this.b = `${prefix}b`;
    try {
      for (const ns of [this.a, this.b]) ip("netns", "add", ns);
      ip("-n", this.a, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", this.b);
      // No packets but those of the test: nothing of IPv6, and (below) known neighbours.
      for (const ns of [this.a, this.b])
        this.inside(ns, () => writeFileSync("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
      for (const [ns, address] of [
        [this.a, TestNetwork.addressA],
        [this.b, TestNetwork.addressB],
      ]) {
        ip("-n", ns, "addr", "add", `${address}/24`, "dev", "eth0");
        for (const dev of ["lo", "eth0"]) ip("-n", ns, "link", "set", dev, "up");
      }
      const [macA, macB] = [this.a, this.b].map(
        (ns) => /link\/ether (\S+)/.exec(ip("-n", ns, "link", "show", "eth0"))?.[1] ?? "",
      );
      ip("-n", this.a, "neigh", "replace", TestNetwork.addressB, "lladdr", macB, "dev", "eth0");
      ip("-n", this.b, "neigh", "replace", TestNetwork.addressA, "lladdr", macA, "dev", "eth0");
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Runs `action` with this thread in the namespace. */
  inside<Result>(ns: string, action: () => Result): Result {
    const fd = openSync(`/run/netns/${ns}`, "r");
    try {
      this.sys.check({ doing: `entering ${ns}` }, "setns", fd, CLONE_NEWNET);
      return action();
    } finally {
      this.sys.check({ doing: "coming back" }, "setns", this.home, CLONE_NEWNET);
      closeSync(fd);
    }
  }

  /** A datagram socket in the namespace; bound when a port is given. */
  udp(ns: string, port?: number): TestSocket {
    return this.socket(ns, SOCK_DGRAM, port);
  }

  /** A stream socket that listens. */
  listener(ns: string, port: number): TestSocket {
    const socket = this.socket(ns, SOCK_STREAM, port);
    this.sys.check({ doing: "listening" }, "listen", socket.fd, 8);
    return socket;
  }

  /** A stream socket that is not connected yet. */
  tcp(ns: string): TestSocket {
    return this.socket(ns, SOCK_STREAM);
  }

  /** Answered echo requests out of `count` from `b` to `a`. */
  ping(count: number): number {
    const args = [
      "netns",
      "exec",
      this.b,
      "ping",
      "-c",
      `${count}`,
      "-i",
      "0.01",
      "-W",
      "0.3",
      TestNetwork.addressA,
    ];
    try {
      return Number(/(\d+) received/.exec(ip(...args))?.[1] ?? 0);
    } catch (error) {
      return Number(/(\d+) received/.exec(String((error as { stdout?: string }).stdout))?.[1] ?? 0);
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.sockets) socket.close();
    for (const ns of [this.a, this.b]) {
      try {
        ip("netns", "del", ns);
      } catch {
        // It was never made.
      }
    }
    closeSync(this.home);
  }

  private socket(ns: string, type: number, port?: number): TestSocket {
    const { sys } = this;
    const fd = this.inside(ns, () =>
      sys.own(sys.check({ doing: "socket" }, "socket", AF_INET, type | SOCK_CLOEXEC, 0), "socket"),
    );
    this.sockets.push(fd);
    const socket = new TestSocket(sys, fd);
    if (port !== undefined) socket.bind(port);
    return socket;
  }
}

/** An IPv4 socket of a test. */
export class TestSocket {
  readonly fd: Fd;
  private readonly sys: Sys;

  constructor(sys: Sys, fd: Fd) {
    this.sys = sys;
    this.fd = fd;
  }

  bind(port: number, reusePort = false): void {
    const on = new Uint8Array([1, 0, 0, 0]);
    if (reusePort) this.sys.check({ doing: "SO_REUSEPORT" }, "setsockopt", this.fd, 1, 15, on, 4);
    this.sys.check({ doing: "bind" }, "bind", this.fd, address("0.0.0.0", port), 16);
  }

  send(bytes: Uint8Array, host: string, port: number): void {
    this.sys.check({ doing: "sendto" }, "sendto", this.fd, bytes, bytes.length, 0, address(host, port), 16);
  }

  write(bytes: Uint8Array): void {
    this.sys.check({ doing: "write" }, "write", this.fd, bytes, bytes.length);
  }

  /** What arrives within the time; undefined when nothing does. */
  receive(timeoutMs = 300): Uint8Array | undefined {
    if (!this.readable(timeoutMs)) return undefined;
    const buffer = new Uint8Array(2048);
    const length = this.sys.check({ doing: "recvfrom" }, "recvfrom", this.fd, buffer, buffer.length, 0, 0, 0);
    return buffer.slice(0, length);
  }

  /** The errno's name when it fails. */
  connect(host: string, port: number): string | undefined {
    const result = this.sys.call("connect", this.fd, address(host, port), 16);
    return result < 0 ? linuxError(result, { doing: "connect" }).errno : undefined;
  }

  accept(timeoutMs = 300): TestSocket | undefined {
    if (!this.readable(timeoutMs)) return undefined;
    return new TestSocket(
      this.sys,
      this.sys.own(this.sys.check({ doing: "accept" }, "accept4", this.fd, 0, 0, 0), "socket"),
    );
  }

  private readable(timeoutMs: number): boolean {
    const poll = new Uint8Array(8);
    const view = new DataView(poll.buffer);
    view.setInt32(0, this.fd.number, true);
    view.setInt16(4, POLLIN, true);
    const timeout = new Uint8Array(16);
    new DataView(timeout.buffer).setBigInt64(8, BigInt(timeoutMs) * 1_000_000n, true);
    return this.sys.check({ doing: "ppoll" }, "ppoll", poll, 1, timeout, 0, 8) > 0;
  }
}

/** `struct sockaddr_in`. */
function address(host: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint16(0, AF_INET, true);
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(host.split(".").map(Number), 4);
  return bytes;
}

/** Runs ip(8); its output. */
export function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
