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
  bpf_arena_free_pages: { since: "6.9", impl: arenaFree },
  /** What a driver without the offload answers. */
  bpf_xdp_metadata_rx_timestamp: { since: "6.3", impl: () => -EOPNOTSUPP },
  bpf_xdp_metadata_rx_hash: { since: "6.3", impl: () => -EOPNOTSUPP },
  bpf_xdp_metadata_rx_vlan_tag: { since: "6.8", impl: () => -EOPNOTSUPP },
} as const satisfies Record<string, KfuncRow>;

const ARENA_PAGE = 4096;

function arenaAlloc(call: HelperCall): number {
  const arena = arenaOf(call);
  const address = arena.program.arenaAlloc(call.u32(2), call.u32(3));
  if (address === 0) return 0;
  call.returnPointer(PTR_TO_ARENA, arena.base, arena.size, arena.address);
  return address;
}

/** (map, address, pages): what a program reads there afterwards is zero. */
function arenaFree(call: HelperCall): number {
  const arena = arenaOf(call);
  const first = call.u32(2) & ~(ARENA_PAGE - 1);
  const start = Math.max(arena.base, first >>> 0);
  const end = Math.min(arena.base + arena.size, start + call.u32(3) * ARENA_PAGE);
  if (start >= end) return 0;
  call.memory.u8.fill(0, start, end);
  arena.program.arenaFree(start, (end - start) / ARENA_PAGE);
  return 0;
}

function arenaOf(call: HelperCall): EmbeddedArena {
  const map = call.map(1);
  if (map.type === "BPF_MAP_TYPE_ARENA") return map as EmbeddedArena; // the one kind of this type
  return call.fail("runtime/bad-map", "arg#0 expected pointer to an arena map", "pass a BPF_MAP_TYPE_ARENA");
}
