// bpf_map_lookup_elem, _update_elem and _delete_elem on the maps whose storage is in this module: no trip to the host.
import {
  CONST_PTR_TO_MAP,
  ERR_UNINIT_REG,
  MACHINE_CPU,
  MACHINE_ERR_REG,
  MAP_FIELDS,
  MAP_FLAGS,
  MAP_KEY_SIZE,
  MAP_NATIVE,
  MAP_TYPE,
  MAP_VALUE_SIZE,
  NOT_NATIVE,
  PROV_RDONLY,
  PROV_SPECIAL,
  PTR_TO_MAP_VALUE,
  REG_BYTES,
  SCALAR,
} from "../src/runtime/layout";
import { checkMemory, fail, KIND, setPointer, setScalar } from "./interpreter-slow";
import { mapDelete, mapLookup, mapUpdate } from "./maps/exports";

/** BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS: a lookup gives a map. */
const ARRAY_OF_MAPS: u32 = 12;
const HASH_OF_MAPS: u32 = 13;
/** BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG. */
const RDONLY_PROG: u32 = 0x80;
const PROG_ACCESS: u32 = 0x180;

/** Provenance kind of a value of `map`. */
export function valueKind(map: u32): u32 {
  let kind: u32 = PTR_TO_MAP_VALUE;
  if (load<u32>(map, MAP_FLAGS) & RDONLY_PROG) kind |= PROV_RDONLY;
  if (load<u32>(map, MAP_FIELDS)) kind |= PROV_SPECIAL;
  return kind;
}

/** Helper 1, 2 or 3 with arguments in the register file `regs`: 0, an ERR_* status, or NOT_NATIVE. */
export function mapHelper(m: u32, regs: u32, id: u32): u32 {
  const map = load<u32>(regs, REG_BYTES);
  if ((load<u32>(regs, REG_BYTES + KIND) & 0xff) != CONST_PTR_TO_MAP || map == 0) return NOT_NATIVE;
  const type = load<u32>(map, MAP_TYPE);
  if (load<u32>(map, MAP_NATIVE) == 0 || type == ARRAY_OF_MAPS || type == HASH_OF_MAPS) return NOT_NATIVE;
  const keySize = load<u32>(map, MAP_KEY_SIZE);
  if (keySize == 0) return NOT_NATIVE;
  // A map that forbids one direction: the host says so.
  if (id != 1 && load<u32>(map, MAP_FLAGS) & PROG_ACCESS) return NOT_NATIVE;
  let status = checkMemory(m, 2, keySize, 0);
  if (status) return status;
  const key = load<u32>(regs, 2 * REG_BYTES);
  if (id == 1) {
    const value = mapLookup(map, key, load<u32>(m, MACHINE_CPU));
    if (value == 0) setScalar(regs, 0);
    else setPointer(regs, valueKind(map), value, value, value + load<u32>(map, MAP_VALUE_SIZE), map);
    return 0;
  }
  if (id == 3) {
    setScalar(regs, <u64>(<i64>mapDelete(map, key)));
    return 0;
  }
  status = checkMemory(m, 3, load<u32>(map, MAP_VALUE_SIZE), 0);
  if (status) return status;
  if (load<u32>(regs, 4 * REG_BYTES + KIND) == 0) {
    store<u32>(m, 4, MACHINE_ERR_REG);
    return fail(m, ERR_UNINIT_REG, 0);
  }
  const done = mapUpdate(map, key, load<u32>(regs, 3 * REG_BYTES), load<u64>(regs, 4 * REG_BYTES), load<u32>(m, MACHINE_CPU));
  setScalar(regs, <u64>(<i64>done));
  return 0;
}
