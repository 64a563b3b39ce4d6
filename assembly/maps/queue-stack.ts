// Queue and stack: a ring of max_entries + 1 values. kernel/bpf/queue_stack_maps.c @ v6.12.
import { MAP_MAX_ENTRIES, MAP_VALUE_SIZE, MAP_VALUES } from "../../src/runtime/layout";
import {
  BPF_EXIST,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
  E2BIG,
  EINVAL,
  ENOENT,
  ENOMEM,
} from "../../src/runtime/maps/constants";
import { alloc64, free } from "../alloc";
import { chargeBytes, damaged } from "../work";
import { copyBytes, KIND_PRIVATE, newHeader, programAccessOk } from "./header";

export const TYPE_QUEUE: u32 = 22;
export const TYPE_STACK: u32 = 23;

/** Slot that the next push fills. */
const HEAD: usize = KIND_PRIVATE;
/** Oldest slot. */
const TAIL: usize = KIND_PRIVATE + 4;
const KMALLOC_MAX: u32 = 0x400000;
const FLAG_MASK: u32 =
  BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

export function queueCreate(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  numCpus: u32,
): i32 {
  if (maxEntries == 0 || keySize != 0 || valueSize == 0 || flags & ~FLAG_MASK) return -EINVAL;
  if (!programAccessOk(flags)) return -EINVAL;
  if (valueSize > KMALLOC_MAX) return -E2BIG;
  const map = newHeader(type, keySize, valueSize, maxEntries, flags, numCpus);
  if (!map) return -ENOMEM;
  const values = alloc64((<u64>maxEntries + 1) * valueSize);
  if (!values) {
    free(map);
    return -ENOMEM;
  }
  store<u32>(map, values, MAP_VALUES);
  return map;
}

export function queueDestroy(map: u32): void {
  free(load<u32>(map, MAP_VALUES));
}

@inline
function slotAfter(map: u32, slot: u32): u32 {
  return slot == load<u32>(map, MAP_MAX_ENTRIES) ? 0 : slot + 1;
}

@inline
function slotAddress(map: u32, slot: u32): u32 {
  return load<u32>(map, MAP_VALUES) + slot * load<u32>(map, MAP_VALUE_SIZE);
}

/** BPF_EXIST: drop the oldest when full. 0, -EINVAL, -E2BIG. */
export function queuePush(map: u32, value: u32, flags: u64): i32 {
  if (flags & BPF_NOEXIST || flags > <u64>BPF_EXIST) return -EINVAL;
  const head = load<u32>(map, HEAD);
  const next = slotAfter(map, head);
  if (next == load<u32>(map, TAIL)) {
    if (!(flags & BPF_EXIST)) return -E2BIG;
    store<u32>(map, slotAfter(map, next), TAIL);
  }
  copyBytes(slotAddress(map, head), value, load<u32>(map, MAP_VALUE_SIZE));
  store<u32>(map, next, HEAD);
  return 0;
}

function nothing(map: u32, value: u32): i32 {
  chargeBytes(load<u32>(map, MAP_VALUE_SIZE));
  memory.fill(value, 0, load<u32>(map, MAP_VALUE_SIZE));
  return -ENOENT;
}

/** Taking comes to an end only when both ends are slots. */
@inline
function checkSlots(map: u32): void {
  if (max<u32>(load<u32>(map, HEAD), load<u32>(map, TAIL)) > load<u32>(map, MAP_MAX_ENTRIES)) damaged();
}

/** Oldest value; -ENOENT (and zeroes in `value`) when empty. */
export function queueTake(map: u32, value: u32, remove: bool): i32 {
  const tail = load<u32>(map, TAIL);
  checkSlots(map);
  if (tail == load<u32>(map, HEAD)) return nothing(map, value);
  copyBytes(value, slotAddress(map, tail), load<u32>(map, MAP_VALUE_SIZE));
  if (remove) store<u32>(map, slotAfter(map, tail), TAIL);
  return 0;
}

/** Newest value; -ENOENT (and zeroes in `value`) when empty. */
export function stackTake(map: u32, value: u32, remove: bool): i32 {
  const head = load<u32>(map, HEAD);
  checkSlots(map);
  if (head == load<u32>(map, TAIL)) return nothing(map, value);
  const top = head == 0 ? load<u32>(map, MAP_MAX_ENTRIES) : head - 1;
  copyBytes(value, slotAddress(map, top), load<u32>(map, MAP_VALUE_SIZE));
  if (remove) store<u32>(map, top, HEAD);
  return 0;
}

export function queueCount(map: u32): u32 {
  const head = load<u32>(map, HEAD);
  const tail = load<u32>(map, TAIL);
  return head >= tail ? head - tail : head + load<u32>(map, MAP_MAX_ENTRIES) + 1 - tail;
}
