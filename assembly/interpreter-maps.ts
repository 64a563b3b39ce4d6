// bpf_map_lookup_elem, _update_elem and _delete_elem on the maps whose storage is in this module: no trip to the host.
import { NOT_NATIVE } from "../src/runtime/layout";

/** Helper 1, 2 or 3 with arguments in the register file `regs`: 0, an ERR_* status, or NOT_NATIVE. */
export function mapHelper(m: u32, regs: u32, id: u32): u32 {
  return NOT_NATIVE;
}
