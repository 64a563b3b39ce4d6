/**
 * The network around a run: interfaces, sockets and routes that a user or a test declares. Everything is optional; the
 * default is an empty network namespace, in which every interface index is taken to exist.
 */
export interface Network {
  /** MTU of an interface; undefined: there is no such interface. Default: 65536 for 1 (`lo`), 1500 for others. */
  mtu?(ifindex: number): number | undefined;
  /** Sockets that `bpf_sk_lookup_*` finds, most specific first come. */
  readonly sockets?: readonly Socket[];
  /** Answers `bpf_fib_lookup`. Default: `"forwarding-disabled"`, as in a fresh network namespace. */
  route?(query: RouteQuery): RouteAnswer;
}

/** A socket as programs see it: `struct bpf_sock` of include/uapi/linux/bpf.h. */
export interface Socket {
  readonly family: "inet" | "inet6" | "unspec";
  readonly protocol: "tcp" | "udp" | "none";
  /** Network byte order, 4 or 16 bytes; all zero: any address. */
  readonly localAddress: Uint8Array;
  readonly localPort: number;
  readonly remoteAddress?: Uint8Array;
  readonly remotePort?: number;
  /** `TCP_ESTABLISHED` 1 … `TCP_CLOSE` 7, `TCP_LISTEN` 10; include/net/tcp_states.h. */
  readonly state: number;
  readonly cookie: bigint;
  readonly uid?: number;
  readonly mark?: number;
  readonly priority?: number;
  readonly boundInterface?: number;
  readonly cgroupId?: bigint;
  readonly cgroupClassId?: number;
}

export interface RouteQuery {
  readonly family: "inet" | "inet6";
  readonly ifindex: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly tos: number;
  readonly mark: number;
  /** BPF_FIB_LOOKUP_* flags. */
  readonly flags: number;
}

/** A route with a resolved neighbour, or why there is none: BPF_FIB_LKUP_RET_* in words. */
export type RouteAnswer =
  | {
      readonly ifindex: number;
      /** Next hop when it differs from the destination. */
      readonly gateway?: Uint8Array;
      readonly source?: Uint8Array;
      readonly mtu: number;
      readonly metric?: number;
      /** Undefined: no neighbour entry. */
      readonly neighbour?: { readonly sourceMac: Uint8Array; readonly destinationMac: Uint8Array };
    }
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "not-forwarded"
  | "forwarding-disabled";

/** MTU of an interface under the defaults of {@link Network}. */
export function interfaceMtu(network: Network | undefined, ifindex: number): number | undefined {
  if (network?.mtu !== undefined) return network.mtu(ifindex);
  if (ifindex <= 0) return undefined;
  return ifindex === LOOPBACK ? 65536 : 1500;
}

/** Index of `lo` in every network namespace. */
export const LOOPBACK = 1;
