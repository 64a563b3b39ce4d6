import type { HelperCall, HelperTable } from "../helper-call.ts";
import { CONST_PTR_TO_MAP, PROV_RDONLY, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_SOCKET } from "../layout.ts";
import type { EmbeddedMap } from "../maps/map.ts";
import { argument } from "./arguments.ts";
import { EINVAL } from "./errno.ts";

/** Map operations. The engine runs lookup, update and delete on most kinds by itself; these are the full forms. */
export const MAP_HELPERS = {
  map_lookup_elem(call) {
    const map = call.map(1);
    return found(call, map, map.program.lookupElem(call.u32(2), call.cpu));
  },
  map_lookup_percpu_elem(call) {
    const map = call.map(1);
    return found(call, map, map.program.lookupPercpuElem(call.u32(2), call.u32(3)));
  },
  map_update_elem: (call) =>
    call.map(1).program.updateElem(call.u32(2), call.u32(3), Number(call.u64(4)), call.cpu),
  map_delete_elem: (call) => call.map(1).program.deleteElem(call.u32(2)),
  map_push_elem: (call) => call.map(1).program.pushElem(call.u32(2), Number(call.u64(3))),
  map_pop_elem: (call) => call.map(1).program.popElem(call.u32(2)),
  map_peek_elem: (call) => call.map(1).program.peekElem(call.u32(2)),
  for_each_map_elem(call) {
    if (call.u64(4) !== 0n) return -EINVAL;
    const map = call.map(1);
    const mapArg = { address: map.address, kind: CONST_PTR_TO_MAP, base: map.address, size: 0 };
    const context = argument(call, 3);
    const visit = (key: number, value: number): boolean =>
      call.callback(2, [mapArg, keyPointer(map, key), valuePointer(map, value), context]) !== 0n;
    return map.program.forEach(visit, call.cpu);
  },
} as const satisfies Partial<HelperTable>;

/** A value of `map` at `address` as a callback's argument. */
export function valuePointer(map: EmbeddedMap, address: number) {
  return { address, kind: valueKind(map), base: address, size: map.spec.valueSize, aux: map.address };
}

/** A key of `map` at `address` as a callback's argument. */
export function keyPointer(map: EmbeddedMap, address: number) {
  return { address, kind: PTR_TO_MAP_KEY | PROV_RDONLY, base: address, size: map.spec.keySize };
}

/** Makes r0 a pointer to a value of `map`; 0 is null. */
export function returnValue(call: HelperCall, map: EmbeddedMap, address: number): number {
  if (address === 0) return 0;
  return call.returnPointer(valueKind(map), address, map.spec.valueSize, map.address);
}

/** Linux: BPF_F_RDONLY_PROG. */
const RDONLY_PROG = 1 << 7;
/** Bytes of UAPI `struct bpf_sock` and `struct bpf_xdp_sock`. */
const SOCK_BYTES = 80;
const XDP_SOCK_BYTES = 4;

function valueKind(map: EmbeddedMap): number {
  return (map.spec.flags & RDONLY_PROG) !== 0 ? PTR_TO_MAP_VALUE | PROV_RDONLY : PTR_TO_MAP_VALUE;
}

function found(call: HelperCall, map: EmbeddedMap, address: number): number {
  if (address === 0) return 0;
  switch (map.lookupGives) {
    case "value":
      return returnValue(call, map, address);
    case "map":
      return call.returnPointer(CONST_PTR_TO_MAP, address, 0);
    case "socket":
      return call.returnPointer(PTR_TO_SOCKET, address, SOCK_BYTES, call.acquire("socket from a map"));
    case "xdp-socket":
      return call.returnPointer(PTR_TO_SOCKET, address, XDP_SOCK_BYTES);
    case "none":
      return call.fail(
        "runtime/map-operation",
        `cannot pass map_type ${map.spec.type} into func bpf_map_lookup_elem`,
        "this kind of map has no values that a program can look at",
      );
  }
}
