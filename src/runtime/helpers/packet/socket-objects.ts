import type { Heap } from "../../helper-call.ts";
import type { Memory } from "../../memory.ts";
import type { Socket } from "../../network.ts";

/** `sizeof(struct bpf_sock)`, include/uapi/linux/bpf.h. */
export const BPF_SOCK_BYTES = 80;
/** Offsets in it. */
export const BPF_SOCK = {
  boundInterface: 0,
  family: 4,
  type: 8,
  protocol: 12,
  mark: 16,
  priority: 20,
  sourceIp4: 24,
  sourceIp6: 28,
  sourcePort: 44,
  destinationPort: 48,
  destinationIp4: 52,
  destinationIp6: 56,
  state: 72,
  rxQueue: 76,
} as const;
/** `sizeof(struct bpf_tcp_sock)`. */
export const BPF_TCP_SOCK_BYTES = 112;

export const AF_INET = 2;
export const AF_INET6 = 10;
const FAMILY = { unspec: 0, inet: AF_INET, inet6: AF_INET6 } as const;
const SOCK_TYPE = { none: 0, tcp: 1, udp: 2 } as const;
export const IP_PROTOCOL = { none: 0, tcp: 6, udp: 17 } as const;

/** Numeric address family of a socket. */
export function familyOf(socket: Socket): number {
  return FAMILY[socket.family];
}

/** Writes a socket as `struct bpf_sock`: what programs read through PTR_TO_SOCKET. */
function writeSocket(memory: Memory, address: number, socket: Socket): void {
  const { view, u8 } = memory;
  u8.fill(0, address, address + BPF_SOCK_BYTES);
  view.setUint32(address + BPF_SOCK.boundInterface, socket.boundInterface ?? 0, true);
  view.setUint32(address + BPF_SOCK.family, familyOf(socket), true);
  view.setUint32(address + BPF_SOCK.type, SOCK_TYPE[socket.protocol], true);
  view.setUint32(address + BPF_SOCK.protocol, IP_PROTOCOL[socket.protocol], true);
  view.setUint32(address + BPF_SOCK.mark, socket.mark ?? 0, true);
  view.setUint32(address + BPF_SOCK.priority, socket.priority ?? 0, true);
  const v6 = socket.family === "inet6";
  u8.set(
    socket.localAddress.subarray(0, v6 ? 16 : 4),
    address + (v6 ? BPF_SOCK.sourceIp6 : BPF_SOCK.sourceIp4),
  );
  view.setUint32(address + BPF_SOCK.sourcePort, socket.localPort, true);
  view.setUint16(address + BPF_SOCK.destinationPort, socket.remotePort ?? 0, false);
  if (socket.remoteAddress)
    u8.set(
      socket.remoteAddress.subarray(0, v6 ? 16 : 4),
      address + (v6 ? BPF_SOCK.destinationIp6 : BPF_SOCK.destinationIp4),
    );
  view.setUint32(address + BPF_SOCK.state, socket.state, true);
  view.setInt32(address + BPF_SOCK.rxQueue, -1, true);
}

/** The sockets that programs of a kernel have been shown, each at one address for good. */
export class SocketObjects {
  private readonly addresses = new Map<Socket, number>();
  private readonly sockets = new Map<number, Socket>();
  private readonly tcp = new Map<Socket, number>();

  /** Address of the socket's `struct bpf_sock`; 0 when there is no memory left. */
  addressOf(socket: Socket, heap: Heap, memory: Memory): number {
    const known = this.addresses.get(socket);
    if (known !== undefined) return known;
    const address = heap.alloc(BPF_SOCK_BYTES);
    if (address === 0) return 0;
    writeSocket(memory, address, socket);
    this.addresses.set(socket, address);
    this.sockets.set(address, socket);
    return address;
  }

  /** Address of the socket's `struct bpf_tcp_sock`, all zero; 0 when there is no memory left. */
  tcpAddressOf(socket: Socket, heap: Heap): number {
    const known = this.tcp.get(socket);
    if (known !== undefined) return known;
    const address = heap.alloc(BPF_TCP_SOCK_BYTES);
    if (address !== 0) this.tcp.set(socket, address);
    return address;
  }

  at(address: number): Socket | undefined {
    return this.sockets.get(address);
  }
}
