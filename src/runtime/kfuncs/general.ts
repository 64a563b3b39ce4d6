import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { EOPNOTSUPP } from "../helpers/index.ts";
import { PTR_TO_ARENA } from "../layout.ts";
import type { EmbeddedArena } from "../maps/map.ts";

/** Kfuncs that are alone of their kind. */
export const GENERAL_KFUNCS = {
  /** Ends the program; without an exception callback the cookie is the return value. */
  bpf_throw: { since: "6.7", impl: (call) => call.exit(call.u64(1)) },
  bpf_map_sum_elem_count: { since: "6.6", impl: (call) => call.map(1).count },
  /** (map, address or null, pages, node, flags): the address of the pages, null when there is no room. */
  bpf_arena_alloc_pages: { since: "6.9", impl: arenaAlloc },
  bpf_arena_free_pages: {
    since: "6.9",
    impl(call) {
      call.map(1).program.arenaFree(call.u32(2), call.u32(3));
      return 0;
    },
  },
  /** What a driver without the offload answers. */
  bpf_xdp_metadata_rx_timestamp: { since: "6.3", impl: () => -EOPNOTSUPP },
  bpf_xdp_metadata_rx_hash: { since: "6.3", impl: () => -EOPNOTSUPP },
  bpf_xdp_metadata_rx_vlan_tag: { since: "6.8", impl: () => -EOPNOTSUPP },
} as const satisfies Record<string, KfuncRow>;

function arenaAlloc(call: HelperCall): number {
  const arena = call.map(1) as EmbeddedArena; // the engine refuses other kinds below
  if (arena.type !== "BPF_MAP_TYPE_ARENA") {
    call.fail("runtime/bad-map", "arg#0 expected pointer to an arena map", "pass a BPF_MAP_TYPE_ARENA");
  }
  const address = arena.program.arenaAlloc(call.u32(2), call.u32(3));
  if (address === 0) return 0;
  call.returnPointer(PTR_TO_ARENA, arena.base, arena.size, arena.address);
  return address;
}
