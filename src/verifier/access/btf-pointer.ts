import type { Btf } from "../../btf/index.ts";
import { BTF_KERNEL, BTF_PROGRAM, type VerifierEnv } from "../env.ts";
import { A, B, TYPE } from "../layout.ts";
import { MemAccess } from "../ports.ts";
import { mayBeNull, RegType, TypeFlag } from "../register-types.ts";
import { markBtfLoad, markPointer } from "../regs.ts";
import { accessStruct, isSafeField, type WalkResult } from "./btf-walk.ts";
import { FIELD_KINDS } from "./record.ts";
import { isConstZero, tnumText } from "./row.ts";
import { checkStructWrite } from "./struct-writes.ts";
import { inRcuSection, isAllocated, isAllocatedObject, isRcu, isTrusted, TRUSTED_FLAGS } from "./trust.ts";

/** The BTF with this number; "unsupported" when it was not supplied. */
export function btfOf(env: VerifierEnv, number: number): Btf {
  const btf = env.btfs[number];
  if (btf !== undefined) return btf;
  return env.unsupported(
    number === BTF_PROGRAM ? "the program's BTF is missing" : "kernel types without a vmlinux BTF",
  );
}

/**
 * `size` bytes at a BTF pointer + `off` (fixed offset included). A load into `valueReg` marks what the field is and how
 * far it can be trusted. `check_ptr_to_btf_access` @ v6.18
 */
export function checkBtfAccess(
  env: VerifierEnv,
  reg: number,
  off: number,
  size: number,
  access: MemAccess,
  valueReg: number,
): void {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  const btfNumber = i32[row + B];
  const btf = btfOf(env, btfNumber);
  const id = i32[row + A];
  const name = btf.types[id]?.name ?? "";
  checkBtfRights(env, reg, off, btfNumber, name);
  if ((type & TypeFlag.MEM_USER) !== 0) {
    env.fail("verifier/user-memory", `R${reg} is ptr_${name} access user memory: off=${off}`, "EACCES");
  }
  if ((type & TypeFlag.MEM_PERCPU) !== 0) {
    env.fail("verifier/percpu-memory", `R${reg} is ptr_${name} access percpu memory: off=${off}`, "EACCES");
  }
  const write = access === MemAccess.WRITE;
  if (write && (type & TypeFlag.PTR_UNTRUSTED) !== 0) {
    env.fail("verifier/read-only-object", "only read is supported", "EACCES");
  }
  if (write && !isAllocated(type) && checkStructWrite(env, btf, id, off, size)) return;
  if (write && !isAllocatedObject(type))
    env.fail("verifier/read-only-object", "only read is supported", "EACCES");
  if (isAllocated(type)) checkObjectFields(env, btfNumber, id, off, size);
  const found = accessStruct(btf, id, off, size, isAllocated(type));
  const flags = loadFlags(env, row, found);
  if (!write && valueReg >= 0) markFound(env, valueReg, found, btfNumber, flags);
}

function checkBtfRights(env: VerifierEnv, reg: number, off: number, btfNumber: number, name: string): void {
  const row = env.reg(reg);
  if (!env.allowPtrLeaks) {
    env.fail(
      "verifier/needs-capability",
      `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`,
      "EPERM",
    );
  }
  if (!env.gplCompatible && btfNumber !== BTF_PROGRAM) {
    env.fail("verifier/needs-gpl", `Cannot access kernel 'struct ${name}' from non-GPL compatible program`);
  }
  if (off < 0) {
    env.fail(
      "verifier/negative-offset",
      `R${reg} is ptr_${name} invalid negative access: off=${off}`,
      "EACCES",
    );
  }
  if (!isConstZero(env, row)) {
    env.fail(
      "verifier/variable-offset",
      `R${reg} is ptr_${name} invalid variable offset: off=${off}, var_off=${tnumText(env, row)}`,
      "EACCES",
    );
  }
}

/** Locks, list nodes … of allocated objects are for kfuncs only. The first loop of `btf_struct_access` */
function checkObjectFields(env: VerifierEnv, btfNumber: number, id: number, off: number, size: number): void {
  const record = env.access.objectRecord(env, btfNumber, id);
  if (record === undefined) return;
  for (const field of record.fields) {
    if (off < field.offset + field.size && field.offset < off + size) {
      env.fail(
        "verifier/special-field",
        `direct access to ${FIELD_KINDS[field.kind].name} is disallowed`,
        "EACCES",
      );
    }
  }
}

type Found = Exclude<WalkResult, { kind: "struct" }>;

/** Fails on an error, else the flags a loaded pointer has. The trust rules of `check_ptr_to_btf_access` @ v6.18 */
function loadFlags(env: VerifierEnv, row: number, found: Found): number {
  if (found.kind === "error") return env.fail("verifier/btf-access", found.message, found.errno);
  if (found.kind !== "pointer") return 0;
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  const { field, type: target } = found;
  let { flags } = found;
  if ((type & TypeFlag.PTR_UNTRUSTED) !== 0) return TypeFlag.PTR_UNTRUSTED;
  if (!isTrusted(env, row) && !isRcu(env, row)) return flags & ~(TRUSTED_FLAGS | TypeFlag.MEM_RCU);
  const index = env.btfIndexes[i32[row + B]];
  const safe = (suffix: Parameters<typeof isSafeField>[4]): boolean =>
    index !== undefined && isSafeField(index, i32[row + A], field, target, suffix);
  if (safe("__safe_trusted")) return flags | TypeFlag.PTR_TRUSTED;
  if (safe("__safe_trusted_or_null")) return flags | TypeFlag.PTR_TRUSTED | TypeFlag.PTR_MAYBE_NULL;
  if (!inRcuSection(env) || mayBeNull(type)) return TypeFlag.PTR_UNTRUSTED;
  if (safe("__safe_rcu")) return flags | TypeFlag.MEM_RCU;
  const rcuOrNull = safe("__safe_rcu_or_null");
  if ((flags & TypeFlag.MEM_RCU) !== 0 || rcuOrNull) {
    flags |= TypeFlag.MEM_RCU | TypeFlag.PTR_MAYBE_NULL;
    return rcuOrNull ? flags & ~TypeFlag.PTR_UNTRUSTED : flags;
  }
  if ((flags & (TypeFlag.MEM_PERCPU | TypeFlag.MEM_USER)) !== 0) return flags;
  return flags & ~(TRUSTED_FLAGS | TypeFlag.MEM_RCU);
}

function markFound(env: VerifierEnv, valueReg: number, found: Found, btfNumber: number, flags: number): void {
  const row = env.reg(valueReg);
  if (found.kind === "untrusted") {
    markPointer(env, row, RegType.PTR_TO_MEM | TypeFlag.MEM_RDONLY | TypeFlag.PTR_UNTRUSTED);
    return;
  }
  if (found.kind !== "pointer") {
    markBtfLoad(env, row, RegType.SCALAR_VALUE, 0, 0, 0);
    return;
  }
  markBtfLoad(env, row, RegType.PTR_TO_BTF_ID, btfNumber, found.type, flags);
}

/** Kernel structures behind map pointers, by map type; the others are not readable. `map_btf_id` @ v6.18 */
const MAP_STRUCTS: Readonly<Record<string, string>> = {
  BPF_MAP_TYPE_HASH: "bpf_htab",
  BPF_MAP_TYPE_PERCPU_HASH: "bpf_htab",
  BPF_MAP_TYPE_LRU_HASH: "bpf_htab",
  BPF_MAP_TYPE_LRU_PERCPU_HASH: "bpf_htab",
  BPF_MAP_TYPE_HASH_OF_MAPS: "bpf_htab",
  BPF_MAP_TYPE_ARRAY: "bpf_array",
  BPF_MAP_TYPE_PERCPU_ARRAY: "bpf_array",
  BPF_MAP_TYPE_PROG_ARRAY: "bpf_array",
  BPF_MAP_TYPE_PERF_EVENT_ARRAY: "bpf_array",
  BPF_MAP_TYPE_CGROUP_ARRAY: "bpf_array",
  BPF_MAP_TYPE_ARRAY_OF_MAPS: "bpf_array",
  BPF_MAP_TYPE_LPM_TRIE: "lpm_trie",
  BPF_MAP_TYPE_DEVMAP: "bpf_dtab",
  BPF_MAP_TYPE_DEVMAP_HASH: "bpf_dtab",
  BPF_MAP_TYPE_SOCKMAP: "bpf_stab",
  BPF_MAP_TYPE_SOCKHASH: "bpf_shtab",
  BPF_MAP_TYPE_CPUMAP: "bpf_cpu_map",
  BPF_MAP_TYPE_XSKMAP: "xsk_map",
  BPF_MAP_TYPE_CGROUP_STORAGE: "bpf_cgroup_storage_map",
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: "bpf_cgroup_storage_map",
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: "reuseport_array",
  BPF_MAP_TYPE_QUEUE: "bpf_queue_stack",
  BPF_MAP_TYPE_STACK: "bpf_queue_stack",
  BPF_MAP_TYPE_SK_STORAGE: "bpf_local_storage_map",
  BPF_MAP_TYPE_INODE_STORAGE: "bpf_local_storage_map",
  BPF_MAP_TYPE_TASK_STORAGE: "bpf_local_storage_map",
  BPF_MAP_TYPE_CGRP_STORAGE: "bpf_local_storage_map",
  BPF_MAP_TYPE_RINGBUF: "bpf_ringbuf_map",
  BPF_MAP_TYPE_USER_RINGBUF: "bpf_ringbuf_map",
  BPF_MAP_TYPE_STACK_TRACE: "bpf_stack_map",
  BPF_MAP_TYPE_STRUCT_OPS: "bpf_struct_ops_map",
  BPF_MAP_TYPE_BLOOM_FILTER: "bpf_bloom_filter",
  BPF_MAP_TYPE_ARENA: "bpf_arena",
};

/** A load through a map pointer reads the kernel's `struct bpf_map` and its kin. `check_ptr_to_map_access` @ v6.18 */
export function checkMapPointerAccess(
  env: VerifierEnv,
  reg: number,
  off: number,
  size: number,
  access: MemAccess,
  valueReg: number,
): void {
  const map = env.maps[env.mem.i32[env.reg(reg) + A]];
  const name = MAP_STRUCTS[map.type] ?? "bpf_map";
  const btf = btfOf(env, BTF_KERNEL);
  if (!env.allowPtrLeaks) {
    env.fail(
      "verifier/needs-capability",
      `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`,
      "EPERM",
    );
  }
  if (off < 0) {
    env.fail("verifier/negative-offset", `R${reg} is ${name} invalid negative access: off=${off}`, "EACCES");
  }
  if (access !== MemAccess.READ) {
    env.fail("verifier/read-only-object", `only read from ${name} is supported`, "EACCES");
  }
  const id = env.btfIndexes[BTF_KERNEL]?.find(name, "struct");
  if (id === undefined) env.unsupported(`struct ${name} is not in the kernel's BTF`);
  const found = accessStruct(btf, id, off, size, false);
  if (found.kind === "error") env.fail("verifier/btf-access", found.message, found.errno);
  if (valueReg >= 0) markFound(env, valueReg, found, BTF_KERNEL, found.kind === "pointer" ? found.flags : 0);
}
