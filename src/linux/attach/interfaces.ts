import { BpfError } from "../../base/index.ts";
import type { InterfaceRef } from "../../object/index.ts";
import { linuxError, type Sys } from "../sys/index.ts";

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCGIFINDEX = 0x8933;

/**
 * The index of an interface in this thread's network namespace.
 * @throws BpfError `linux/no-interface`.
 */
export function interfaceIndex(sys: Sys, reference: InterfaceRef): number {
  if (typeof reference === "number") return reference;
  const name = new TextEncoder().encode(reference);
  if (name.length === 0 || name.length > 15) throw noInterface(reference);
  const request = new Uint8Array(40);
  request.set(name);
  using socket = sys.own(
    sys.check({ doing: "opening a socket" }, "socket", AF_INET, SOCK_DGRAM_CLOEXEC, 0),
    "socket",
  );
  const result = sys.call("ioctl", socket, SIOCGIFINDEX, request);
  if (result === -19) throw noInterface(reference);
  if (result < 0) throw linuxError(result, { doing: `looking up interface '${reference}'` });
  return new DataView(request.buffer).getUint32(16, true);
}

function noInterface(name: string): BpfError {
  return new BpfError("linux/no-interface", `there is no network interface '${name}' here`, {
    errno: "ENODEV",
    subject: name,
    hint: "`ip link` lists them; interfaces of another network namespace are not seen",
  });
}
