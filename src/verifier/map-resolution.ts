import type { ProgramTypeName } from "../abi/index.ts";
import {
  Class,
  classOf,
  type InsnTable,
  isKnownOpcode,
  isWide,
  MODE_MASK,
  Mode,
  PseudoLoad,
} from "../isa/index.ts";
import { resolveSize, skipModifiers, typeName } from "./access/btf-walk.ts";
import { type FieldKind, recordOfValue } from "./access/record.ts";
import type { VerifierEnv } from "./env.ts";
import type { VerifierMap } from "./input.ts";
import { type Fail, failOf } from "./prechecks-fail.ts";
import { RegType, TypeFlag } from "./register-types.ts";
import type { InsnAux } from "./state.ts";

/** `MAX_USED_MAPS` */
const MAX_MAPS = 64;
/** `BPF_MAX_VAR_OFF` */
const MAX_OFFSET = 1 << 29;

/**
 * Gives every wide load its meaning: which map, where in its value, which kernel variable. Judges on the way what the kernel
 * judges here: opcodes, second halves, maps that the program may not use.
 * @see kernel/bpf/verifier.c `resolve_pseudo_ldimm64` @ v6.18
 */
export function resolveWideLoads(env: VerifierEnv): void {
  const { insns } = env;
  const fail = failOf(env);
  const maps = new UsedMaps(env, fail);
  for (let slot = 0; slot < insns.length; slot++) {
    const opcode = insns.opcode[slot];
    const mode = opcode & MODE_MASK;
    if (classOf(opcode) === Class.LDX) {
      if ((mode !== Mode.MEM && mode !== Mode.MEMSX) || insns.imm[slot] !== 0) {
        fail("verifier/reserved-fields", "BPF_LDX uses reserved fields", "EINVAL", slot);
      }
    }
    if (isWide(opcode)) {
      resolveWide(env, slot, maps, fail);
      slot++;
    } else if (!isKnownOpcode(opcode)) {
      const message = `unknown opcode ${opcode.toString(16).padStart(2, "0")}`;
      fail("verifier/unknown-opcode", message, "EINVAL", slot);
    }
  }
}

function resolveWide(env: VerifierEnv, slot: number, maps: UsedMaps, fail: Fail): void {
  const { insns, aux } = env;
  if (!isWholeWide(insns, slot)) fail("verifier/bad-lddw", "invalid bpf_ld_imm64 insn", "EINVAL", slot);
  const offset = insns.imm[slot + 1];
  switch (insns.src[slot]) {
    case PseudoLoad.NONE:
    case PseudoLoad.FUNC:
      return;
    case PseudoLoad.BTF_ID:
      resolveKernelSymbol(env, slot, fail);
      return;
    case PseudoLoad.MAP_VALUE:
    case PseudoLoad.MAP_IDX_VALUE: {
      const number = maps.use(slot);
      checkValueOffset(env.maps[number], offset >>> 0, slot, fail);
      aux.mapIndex[slot] = number;
      aux.mapOffset[slot] = offset;
      return;
    }
    case PseudoLoad.MAP_FD:
    case PseudoLoad.MAP_IDX:
      if (offset !== 0) break;
      aux.mapIndex[slot] = maps.use(slot);
      return;
  }
  fail("verifier/bad-lddw", "unrecognized bpf_ld_imm64 insn", "EINVAL", slot);
}

/** There is a second slot, and nothing but its immediate is set. */
function isWholeWide(insns: InsnTable, slot: number): boolean {
  const next = slot + 1;
  if (next >= insns.length) return false;
  return (insns.opcode[next] | insns.dst[next] | insns.src[next] | insns.off[next]) === 0;
}

/** `map_direct_value_addr` of the map types that have it: arrays of one element, arenas. */
function checkValueOffset(map: VerifierMap, offset: number, slot: number, fail: Fail): void {
  const code = "verifier/bad-map-value-offset";
  if (offset >= MAX_OFFSET) fail(code, `direct value offset of ${offset} is not allowed`, "EINVAL", slot);
  const message = `invalid access to map value pointer, value_size=${map.valueSize} off=${offset}`;
  if (map.type === "BPF_MAP_TYPE_ARRAY") {
    if (map.maxEntries !== 1) fail(code, message, "ENOTSUPP", slot);
    if (offset >= map.valueSize) fail(code, message, "EINVAL", slot);
  } else if (map.type === "BPF_MAP_TYPE_ARENA") {
    if (offset > map.maxEntries * 4096) fail(code, message, "ERANGE", slot);
  } else {
    fail(code, "no direct value access support for this map type", "EINVAL", slot);
  }
}

/** The maps a program has used so far, each judged at its first use. @see `__add_used_map` @ v6.18 */
class UsedMaps {
  private readonly env: VerifierEnv;
  private readonly fail: Fail;
  private readonly used = new Set<number>();
  private readonly usedTypes = new Set<string>();

  constructor(env: VerifierEnv, fail: Fail) {
    this.env = env;
    this.fail = fail;
  }

  /** Number of the map that the load at `slot` names. */
  use(slot: number): number {
    const { env, used } = this;
    const fail: Fail = this.fail;
    const number = env.insns.imm[slot];
    const map = env.maps[number];
    if (map === undefined) {
      fail("verifier/bad-map", `fd ${number} is not pointing to valid bpf_map`, "EBADF", slot);
    }
    if (used.has(number)) return number;
    if (used.size >= MAX_MAPS) {
      const message = `The total number of maps per program has reached the limit of ${MAX_MAPS}`;
      fail("verifier/too-many-maps", message, "E2BIG", slot);
    }
    this.checkCompatible(map, slot);
    used.add(number);
    this.usedTypes.add(map.type);
    return number;
  }

  /** @see `check_map_prog_compatibility` @ v6.18 */
  private checkCompatible(map: VerifierMap, slot: number): void {
    const { env } = this;
    const fail: Fail = this.fail;
    const code = "verifier/map-not-for-program";
    const { type } = env.program;
    const tracing = TRACING_TYPES.has(type);
    const fields = specialFields(env, map);
    const lists = fields.has("listHead") || fields.has("rbRoot");
    if (lists && tracing) {
      fail(code, "tracing progs cannot use bpf_{list_head,rb_root} yet", "EINVAL", slot);
    }
    if (fields.has("spinLock") || fields.has("resSpinLock")) {
      if (type === "BPF_PROG_TYPE_SOCKET_FILTER") {
        fail(code, "socket filter progs cannot use bpf_spin_lock yet", "EINVAL", slot);
      }
      if (tracing) fail(code, "tracing progs cannot use bpf_spin_lock yet", "EINVAL", slot);
    }
    if (fields.has("timer") && tracing) fail(code, "tracing progs cannot use bpf_timer yet", "EINVAL", slot);
    if (fields.has("workqueue") && tracing) fail(code, "tracing progs cannot use bpf_wq yet", "EINVAL", slot);
    if (map.type === "BPF_MAP_TYPE_STRUCT_OPS") {
      fail(code, "bpf_struct_ops map cannot be used in prog", "EINVAL", slot);
    }
    if (env.program.flags.sleepable === true && !SLEEPABLE_MAPS.has(map.type)) {
      const message = "Sleepable programs can only use array, hash, ringbuf and local storage maps";
      fail("verifier/map-not-sleepable", message, "EINVAL", slot);
    }
    this.checkSingle(map, slot);
  }

  private checkSingle(map: VerifierMap, slot: number): void {
    const { env } = this;
    const fail: Fail = this.fail;
    const code = "verifier/map-not-for-program";
    if (!SINGLE_MAPS.has(map.type)) return;
    const again = this.usedTypes.has(map.type);
    if (map.type !== "BPF_MAP_TYPE_ARENA") {
      if (again) fail(code, "only one cgroup storage of each type is allowed", "EBUSY", slot);
      return;
    }
    if (again) fail(code, "Only one arena per program", "EBUSY", slot);
    if (!env.allowPtrLeaks || !env.bpfCapable) {
      fail("verifier/missing-capability", "CAP_BPF and CAP_PERFMON are required to use arena", "EPERM", slot);
    }
  }
}

/** `is_tracing_prog_type` */
const TRACING_TYPES: ReadonlySet<ProgramTypeName> = new Set([
  "BPF_PROG_TYPE_KPROBE",
  "BPF_PROG_TYPE_TRACEPOINT",
  "BPF_PROG_TYPE_PERF_EVENT",
  "BPF_PROG_TYPE_RAW_TRACEPOINT",
  "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
]);

/** Map types that a sleepable program may use; probed on 6.18. */
const SLEEPABLE_MAPS: ReadonlySet<string> = new Set([
  "BPF_MAP_TYPE_HASH",
  "BPF_MAP_TYPE_LRU_HASH",
  "BPF_MAP_TYPE_ARRAY",
  "BPF_MAP_TYPE_PERCPU_HASH",
  "BPF_MAP_TYPE_PERCPU_ARRAY",
  "BPF_MAP_TYPE_LRU_PERCPU_HASH",
  "BPF_MAP_TYPE_ARRAY_OF_MAPS",
  "BPF_MAP_TYPE_HASH_OF_MAPS",
  "BPF_MAP_TYPE_RINGBUF",
  "BPF_MAP_TYPE_USER_RINGBUF",
  "BPF_MAP_TYPE_INODE_STORAGE",
  "BPF_MAP_TYPE_SK_STORAGE",
  "BPF_MAP_TYPE_TASK_STORAGE",
  "BPF_MAP_TYPE_CGRP_STORAGE",
  "BPF_MAP_TYPE_QUEUE",
  "BPF_MAP_TYPE_STACK",
  "BPF_MAP_TYPE_ARENA",
] satisfies VerifierMap["type"][]);

/** Map types of which a program may use one map. */
const SINGLE_MAPS: ReadonlySet<string> = new Set([
  "BPF_MAP_TYPE_CGROUP_STORAGE",
  "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE",
  "BPF_MAP_TYPE_ARENA",
] satisfies VerifierMap["type"][]);

function specialFields(env: VerifierEnv, map: VerifierMap): ReadonlySet<FieldKind> {
  if (map.btf === undefined || (map.valueType ?? 0) === 0) return NO_FIELDS;
  const record = recordOfValue(map.btf, map.valueType ?? 0, map.valueSize, env.btfIndexes);
  return record === undefined ? NO_FIELDS : new Set(record.fields.map((field) => field.kind));
}

const NO_FIELDS: ReadonlySet<FieldKind> = new Set();

/** @see kernel/bpf/verifier.c `check_pseudo_btf_id` @ v6.18 */
function resolveKernelSymbol(env: VerifierEnv, slot: number, fail: Fail): void {
  const { insns, aux } = env;
  const code = "verifier/bad-ksym";
  const id = insns.imm[slot];
  const module = insns.imm[slot + 1];
  if (env.btfs[0] === undefined) env.unsupported("kernel symbol (needs the kernel's BTF)");
  const number = module === 0 ? 0 : module + 1; // modules come behind kernel and program
  const btf = module === 0 || module >= 1 ? env.btfs[number] : undefined;
  if (btf === undefined) fail(code, "invalid module BTF object FD specified.", "EINVAL", slot);
  const type = btf.types[id];
  if (type === undefined || id === 0) {
    fail(code, `ldimm64 insn specifies invalid btf_id ${id}.`, "ENOENT", slot);
  }
  if (type.kind === "func") {
    setSymbol(aux, slot, RegType.PTR_TO_MEM | TypeFlag.MEM_RDONLY, 0, number);
    return;
  }
  if (type.kind !== "var") {
    fail(code, `pseudo btf_id ${id} in ldimm64 isn't KIND_VAR or KIND_FUNC`, "EINVAL", slot);
  }
  const percpu = btf.types[env.btfIndexes[number]?.find(".data..percpu", "datasec") ?? 0];
  if (percpu?.kind === "datasec" && percpu.vars.some((variable) => variable.type === id)) {
    setSymbol(aux, slot, RegType.PTR_TO_BTF_ID | TypeFlag.MEM_PERCPU, type.type, number);
    return;
  }
  const target = skipModifiers(btf, type.type);
  if (btf.types[target]?.kind === "struct" || btf.types[target]?.kind === "union") {
    setSymbol(aux, slot, RegType.PTR_TO_BTF_ID, type.type, number);
    return;
  }
  const size = resolveSize(btf, target)?.size;
  if (size === undefined) {
    const message = `ldimm64 unable to resolve the size of type '${typeName(btf, target)}': -22`;
    fail(code, message, "EINVAL", slot);
  }
  setSymbol(aux, slot, RegType.PTR_TO_MEM | TypeFlag.MEM_RDONLY, size, number);
}

function setSymbol(aux: InsnAux, slot: number, type: number, argument: number, btf: number): void {
  aux.loadType[slot] = type;
  aux.loadTypeArg[slot] = argument;
  aux.loadTypeBtf[slot] = btf;
}
