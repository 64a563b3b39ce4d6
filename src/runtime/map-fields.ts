import type { Btf } from "../btf/index.ts";
import { MAP_FLAGS, MAP_ID, MAP_KEY_SIZE, MAP_MAX_ENTRIES, MAP_TYPE, MAP_VALUE_SIZE } from "./layout.ts";

/** Members of the kernel's `struct bpf_map` that the embedded kernel has: where they are in a map's header. */
const HEADER_FIELDS: Readonly<Record<string, number>> = {
  map_type: MAP_TYPE,
  key_size: MAP_KEY_SIZE,
  value_size: MAP_VALUE_SIZE,
  max_entries: MAP_MAX_ENTRIES,
  map_flags: MAP_FLAGS,
  id: MAP_ID,
};

/**
 * Offset in a map's header of what a program reads at `offset` of `struct bpf_map`, as laid out in `btf`. Members that
 * the embedded kernel does not have read as zero (`"zero"`); undefined: no member starts there, or no such type.
 */
export function mapField(btf: Btf | undefined, offset: number): number | "zero" | undefined {
  for (const type of btf?.types ?? []) {
    // `struct bpf_map___local`: a CO-RE flavour of the same type.
    if (type.kind !== "struct" || type.name.split("___")[0] !== "bpf_map") continue;
    const member = type.members.find((candidate) => candidate.bitOffset === offset * 8);
    if (member !== undefined) return HEADER_FIELDS[member.name] ?? "zero";
  }
  return undefined;
}
