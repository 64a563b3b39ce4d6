// One algorithm: what r0 is after a helper call.
import type { HelperName, RetType } from "../../abi/index.ts";
import { btfOf } from "../access/btf-pointer.ts";
import { isStruct, resolveSize, skipModifiers, typeName } from "../access/btf-walk.ts";
import { BTF_KERNEL, BTF_PROGRAM, type VerifierEnv } from "../env.ts";
import { A, B, ID, REF_OBJ_ID, TYPE } from "../layout.ts";
import { acquireReference } from "../refs.ts";
import { mayBeNull, RegType, TypeFlag } from "../register-types.ts";
import { markNotInit, markPointer, markUnknown } from "../regs.ts";
import type { CallState } from "./call-state.ts";
import { neverMisses } from "./constant-key.ts";

const { PTR_MAYBE_NULL, MEM_RDONLY, MEM_RINGBUF, MEM_ALLOC, MEM_RCU, MEM_PERCPU, PTR_TRUSTED } = TypeFlag;

/** Register types of the simple results. `enum bpf_return_type` @ v6.18 */
const POINTERS: Readonly<Partial<Record<RetType, number>>> = {
  PTR_TO_MAP_VALUE: RegType.PTR_TO_MAP_VALUE,
  PTR_TO_MAP_VALUE_OR_NULL: RegType.PTR_TO_MAP_VALUE | PTR_MAYBE_NULL,
  PTR_TO_SOCKET_OR_NULL: RegType.PTR_TO_SOCKET | PTR_MAYBE_NULL,
  PTR_TO_SOCK_COMMON_OR_NULL: RegType.PTR_TO_SOCK_COMMON | PTR_MAYBE_NULL,
  PTR_TO_TCP_SOCK_OR_NULL: RegType.PTR_TO_TCP_SOCK | PTR_MAYBE_NULL,
  PTR_TO_RINGBUF_MEM_OR_NULL: RegType.PTR_TO_MEM | MEM_RINGBUF | PTR_MAYBE_NULL,
  PTR_TO_DYNPTR_MEM_OR_NULL: RegType.PTR_TO_MEM | PTR_MAYBE_NULL,
  PTR_TO_BTF_ID: RegType.PTR_TO_BTF_ID,
  PTR_TO_BTF_ID_TRUSTED: RegType.PTR_TO_BTF_ID | PTR_TRUSTED,
  PTR_TO_BTF_ID_OR_NULL: RegType.PTR_TO_BTF_ID | PTR_MAYBE_NULL,
};

/** Helpers whose result holds what their argument held. `is_ptr_cast_function` */
const CASTS: ReadonlySet<HelperName> = new Set<HelperName>([
  "tcp_sock",
  "sk_fullsock",
  "skc_to_tcp_sock",
  "skc_to_tcp6_sock",
  "skc_to_udp6_sock",
  "skc_to_mptcp_sock",
  "skc_to_tcp_timewait_sock",
  "skc_to_tcp_request_sock",
]);

/** Helpers whose result is at most the size they were given, or a negative errno. `do_refine_retval_range` @ v6.18 */
const SIZED_RESULTS: ReadonlySet<HelperName> = new Set<HelperName>([
  "get_stack",
  "get_task_stack",
  "probe_read_str",
  "probe_read_kernel_str",
  "probe_read_user_str",
]);
const MAX_ERRNO = 4095;
/** CPUs when nobody says how many there are: a large machine of these days. */
const DEFAULT_CPUS = 128;

/** Sets r0. `cpuObject`: `bpf_per_cpu_ptr` of an allocated per-CPU object. The second half of `check_helper_call` @ v6.18 */
export function markReturn(env: VerifierEnv, call: CallState, cpuObject: boolean): void {
  const { name, ret } = call.proto;
  const row = env.reg(0);
  if (ret === "INTEGER") {
    markUnknown(env, row);
  } else if (ret === "VOID") {
    markNotInit(env, row);
  } else if (ret === "PTR_TO_MEM_OR_BTF_ID" || ret === "PTR_TO_MEM_OR_BTF_ID_OR_NULL") {
    markMemoryOrObject(env, call, row, ret.endsWith("_OR_NULL") ? PTR_MAYBE_NULL : 0, cpuObject);
  } else {
    markReturnedPointer(env, call, row, POINTERS[ret] ?? 0);
  }
  const { i32 } = env.mem;
  if (mayBeNull(i32[row + TYPE])) i32[row + ID] = env.newId();
  if (name === "dynptr_data") i32[row + B] = call.dynptrId;
  if (CASTS.has(name) || name === "dynptr_data") {
    i32[row + REF_OBJ_ID] = call.refObjId;
  } else if (acquires(env, call)) {
    const id = acquireReference(env, call.insn);
    i32[row + ID] = id;
    i32[row + REF_OBJ_ID] = id;
  }
  if (ret === "INTEGER") refineRange(env, call, row);
}

function acquires(env: VerifierEnv, call: CallState): boolean {
  const { name, row } = call.proto;
  if (name !== "map_lookup_elem") return row.acquires === true;
  const type = env.maps[call.map]?.type;
  return type === "BPF_MAP_TYPE_SOCKMAP" || type === "BPF_MAP_TYPE_SOCKHASH";
}

function refineRange(env: VerifierEnv, call: CallState, row: number): void {
  const { name } = call.proto;
  if (SIZED_RESULTS.has(name)) env.domain.setSigned32(row, -MAX_ERRNO, call.maxSize);
  if (name === "get_smp_processor_id")
    env.domain.setSigned32(row, 0, (env.options.numCpus ?? DEFAULT_CPUS) - 1);
}

function markReturnedPointer(env: VerifierEnv, call: CallState, row: number, type: number): void {
  const { proto } = call;
  if (proto.ret === "PTR_TO_MAP_VALUE" || proto.ret === "PTR_TO_MAP_VALUE_OR_NULL") {
    markMapValue(env, call, row, type);
    return;
  }
  markPointer(env, row, type);
  const { i32 } = env.mem;
  if (proto.ret === "PTR_TO_RINGBUF_MEM_OR_NULL" || proto.ret === "PTR_TO_DYNPTR_MEM_OR_NULL") {
    i32[row + A] = call.memSize;
    return;
  }
  if (proto.name === "kptr_xchg") {
    markExchanged(env, call, row);
    return;
  }
  if (proto.retStruct === undefined) return;
  const id = env.btfIndexes[BTF_KERNEL]?.find(proto.retStruct, "struct");
  if (id === undefined) env.unsupported(`struct ${proto.retStruct} is not in the kernel's BTF`);
  i32[row + A] = id;
  i32[row + B] = BTF_KERNEL;
}

function markMapValue(env: VerifierEnv, call: CallState, row: number, type: number): void {
  const map = env.maps[call.map];
  const hit =
    call.proto.name === "map_lookup_elem" &&
    neverMisses(map.type) &&
    call.constKey >= 0 &&
    call.constKey < map.maxEntries;
  const resultType = hit ? type & ~PTR_MAYBE_NULL : type;
  markPointer(env, row, resultType);
  const { i32 } = env.mem;
  i32[row + A] = call.map;
  i32[row + B] = call.mapUid;
  if (mayBeNull(resultType)) return;
  const record = env.access.mapRecord(env, call.map);
  if (record !== undefined && (record.spinLock >= 0 || record.resSpinLock >= 0)) i32[row + ID] = env.newId();
}

/** The old value of a kptr. */
function markExchanged(env: VerifierEnv, call: CallState, row: number): void {
  const { kptr } = call;
  const target = kptr?.kptr;
  if (kptr === undefined || target === undefined) env.unsupported("kptr field without a type");
  const { i32 } = env.mem;
  i32[row + A] = target.type;
  i32[row + B] = target.btf;
  if (target.btf !== BTF_PROGRAM) return;
  i32[row + TYPE] |= MEM_ALLOC | (kptr.kind === "kptrPercpu" ? MEM_PERCPU : 0);
}

/** This CPU's copy of a per-CPU variable: memory for scalars and arrays, else an object. */
function markMemoryOrObject(
  env: VerifierEnv,
  call: CallState,
  row: number,
  nullable: number,
  cpuObject: boolean,
): void {
  const btf = btfOf(env, call.retBtf);
  const id = skipModifiers(btf, call.retBtfId);
  const { i32 } = env.mem;
  if (!isStruct(btf.types[id])) {
    const sized = resolveSize(btf, id);
    if (sized === undefined) {
      env.fail("verifier/argument-type", `unable to resolve the size of type '${typeName(btf, id)}': -22`);
    }
    markPointer(env, row, RegType.PTR_TO_MEM | MEM_RDONLY | nullable);
    i32[row + A] = sized.size;
    return;
  }
  markPointer(
    env,
    row,
    cpuObject ? RegType.PTR_TO_BTF_ID | MEM_ALLOC | MEM_RCU : RegType.PTR_TO_BTF_ID | nullable,
  );
  i32[row + A] = call.retBtfId;
  i32[row + B] = call.retBtf;
}
