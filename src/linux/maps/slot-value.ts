import { BpfError } from "../../base/index.ts";
import type { BpfMap, Program } from "../../object/index.ts";
import type { LinuxContext, SlotValue } from "../context.ts";
import { openId } from "../inspect/ids.ts";

/**
 * Bytes for the slot of a map that holds maps or programs: the descriptor of the object, which `value` is or names by
 * id. Disposing closes what was opened for it.
 * @throws BpfError `linux/invalid` for what such a slot cannot hold.
 */
export function slotValue(
  context: LinuxContext,
  map: string,
  value: SlotValue,
  holds: string,
): Disposable & { readonly bytes: Uint8Array } {
  if (!(value instanceof Uint8Array)) {
    return { bytes: int32(descriptor(map, value, holds)), [Symbol.dispose]: () => {} };
  }
  if (value.length !== 4) {
    throw new BpfError("linux/invalid", `map '${map}': a slot takes a ${holds} or its id in 4 bytes`, {
      errno: "EINVAL",
      subject: map,
    });
  }
  const id = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
  const own = (holds === "map" ? context.maps : context.programs).get(id);
  if (own !== undefined) return { bytes: int32(own.fd), [Symbol.dispose]: () => {} };
  const fd = openId(context.sys, holds === "map" ? "map" : "program", id);
  // An id that names nothing becomes a descriptor that names nothing: the kernel answers in its own order.
  return { bytes: int32(fd?.number ?? -1), [Symbol.dispose]: () => fd?.close() };
}

function descriptor(map: string, value: BpfMap | Program, holds: string): number {
  const fits = holds === "map" ? "lookup" in value : holds === "program" && "run" in value;
  if (fits && "fd" in value && typeof value.fd === "number") return value.fd;
  throw new BpfError("linux/invalid", `map '${map}' holds ${holds} values, not '${value.name}'`, {
    errno: "EINVAL",
    subject: map,
    hint: "maps of maps take maps, program arrays programs, both of this kernel",
  });
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
