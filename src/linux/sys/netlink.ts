import { BpfError } from "../../base/index.ts";
import { type FailureFacts, linuxError } from "./errors.ts";
import type { Fd } from "./fd.ts";
import type { Sys } from "./sys.ts";

/** include/uapi/linux/netlink.h */
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER = 16;
const SOL_NETLINK = 270;
const NETLINK_EXT_ACK = 11;
const NETLINK_CAP_ACK = 10;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const NLMSGERR_ATTR_MSG = 1;
const NLM_F_ACK_TLVS = 0x200;
const RECEIVE_BYTES = 65536;

/** An attribute to send: type and its bytes, or the attributes nested in it. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

/** One message that the kernel sent: what follows its header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/**
 * A rtnetlink socket. It belongs to the network namespace that it was opened in, whatever namespace the process enters
 * later.
 */
export class Netlink implements Disposable {
  private readonly sys: Sys;
  private readonly fd: Fd;
  private sequence = 0;

  /** @throws BpfError `linux/…`. */
  constructor(sys: Sys) {
    this.sys = sys;
    const number = sys.check(
      { doing: "opening a netlink socket" },
      "socket",
      AF_NETLINK,
      SOCK_RAW_CLOEXEC,
      0,
    );
    this.fd = sys.own(number, "netlink socket");
    const on = new Uint8Array([1, 0, 0, 0]);
    for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK])
      sys.call("setsockopt", this.fd, SOL_NETLINK, option, on, on.length); // better messages; older kernels have none
  }

  /**
   * Sends a request and gives what the kernel answered, up to its acknowledgement. `fixed` is the family's own header.
   * @throws BpfError `linux/…` with the kernel's own words where it has some.
   */
  request(
    type: number,
    flags: number,
    fixed: Uint8Array,
    attributes: readonly Attribute[],
    facts: FailureFacts,
  ): NetlinkMessage[] {
    const body = encodeAttributes(attributes);
    const message = new Uint8Array(HEADER + align(fixed.length) + body.length);
    const view = new DataView(message.buffer);
    const sequence = ++this.sequence;
    view.setUint32(0, message.length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags | NLM_F_REQUEST | NLM_F_ACK, true);
    view.setUint32(8, sequence, true);
    message.set(fixed, HEADER);
    message.set(body, HEADER + align(fixed.length));
    this.sys.check(facts, "sendto", this.fd, message, message.length, 0, 0, 0);
    return this.receive(sequence, facts);
  }

  [Symbol.dispose](): void {
    this.fd.close();
  }

  private receive(sequence: number, facts: FailureFacts): NetlinkMessage[] {
    const found: NetlinkMessage[] = [];
    const buffer = new Uint8Array(RECEIVE_BYTES);
    const view = new DataView(buffer.buffer);
    for (;;) {
      const length = this.sys.check(facts, "recvfrom", this.fd, buffer, buffer.length, 0, 0, 0);
      for (let at = 0; at + HEADER <= length; ) {
        const size = view.getUint32(at, true);
        if (size < HEADER || at + size > length)
          throw new BpfError("linux/failed", `${facts.doing}: a netlink answer is cut off`);
        const type = view.getUint16(at + 4, true);
        const body = buffer.slice(at + HEADER, at + size);
        if (view.getUint32(at + 8, true) === sequence) {
          if (type === NLMSG_ERROR || type === NLMSG_DONE) {
            checkAnswer(type, view.getUint16(at + 6, true), body, facts);
            return found;
          }
          found.push({ type, body });
        }
        at += align(size);
      }
    }
  }
}

/** Throws what an acknowledgement says went wrong, with the kernel's sentence about it. */
function checkAnswer(type: number, flags: number, body: Uint8Array, facts: FailureFacts): void {
  const errno = new DataView(body.buffer, body.byteOffset).getInt32(0, true);
  if (errno === 0 || type === NLMSG_DONE) return;
  const words =
    flags & NLM_F_ACK_TLVS ? decodeAttributes(body, 4 + HEADER).get(NLMSGERR_ATTR_MSG) : undefined;
  const said = words && new TextDecoder().decode(words.subarray(0, -1));
  throw linuxError(errno, { ...facts, doing: said ? `${facts.doing} (${said})` : facts.doing });
}

/** Attributes by type, of a message whose attributes start at `from`. A repeated one: the last. */
export function decodeAttributes(body: Uint8Array, from: number): Map<number, Uint8Array> {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const found = new Map<number, Uint8Array>();
  for (let at = align(from); at + 4 <= body.length; ) {
    const size = view.getUint16(at, true);
    if (size < 4 || at + size > body.length) return found;
    found.set(view.getUint16(at + 2, true) & NLA_TYPE_MASK, body.subarray(at + 4, at + size));
    at += align(size);
  }
  return found;
}

function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const parts = attributes.map(([type, value]) => {
    const nested = !(value instanceof Uint8Array);
    const bytes = nested ? encodeAttributes(value) : value;
    const out = new Uint8Array(4 + align(bytes.length));
    const view = new DataView(out.buffer);
    view.setUint16(0, 4 + bytes.length, true);
    view.setUint16(2, nested ? type | NLA_F_NESTED : type, true);
    out.set(bytes, 4);
    return out;
  });
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A 32-bit number as an attribute's bytes. */
export function u32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
