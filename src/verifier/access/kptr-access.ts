import { Class, classOf, MODE_MASK, Mode } from "../../isa/index.ts";
import { BTF_PROGRAM, type VerifierEnv } from "../env.ts";
import { A, B, OFF, TYPE } from "../layout.ts";
import { markChainPrecision } from "../precision.ts";
import { baseType, RegType, regTypeName, TypeFlag, typeFlags } from "../register-types.ts";
import { isNull, markBtfLoad } from "../regs.ts";
import { btfOf } from "./btf-pointer.ts";
import { structContains, typeName } from "./btf-walk.ts";
import { checkUnmodified } from "./memory-region.ts";
import type { SpecialField } from "./record.ts";
import { inRcuSection, structNameOf } from "./trust.ts";

/** Kernel objects that RCU keeps from being freed under a reader. `rcu_protected_types` @ v6.18 */
const RCU_PROTECTED: readonly string[] = [
  "prog_test_ref_kfunc",
  "cgroup",
  "bpf_cpumask",
  "task_struct",
  "bpf_crypto_ctx",
];

/** A load or store of a kptr by an instruction. `check_map_kptr_access` @ v6.18 */
export function checkKptrAccess(env: VerifierEnv, insn: number, valueReg: number, field: SpecialField): void {
  const opcode = env.insns.opcode[insn];
  const instruction = classOf(opcode);
  if ((opcode & MODE_MASK) !== Mode.MEM) {
    env.fail(
      "verifier/kptr-access",
      "kptr in map can only be accessed using BPF_MEM instruction mode",
      "EACCES",
    );
  }
  const held = field.kind === "kptrRef" || field.kind === "kptrPercpu";
  if (instruction !== Class.LDX && held) {
    env.fail("verifier/kptr-store", "store to referenced kptr disallowed", "EACCES");
  }
  if (instruction !== Class.LDX && field.kind === "uptr") {
    env.fail("verifier/kptr-store", "store to uptr disallowed", "EACCES");
  }
  if (instruction === Class.LDX) {
    if (field.kind === "uptr") loadUptr(env, valueReg, field);
    else loadKptr(env, valueReg, field);
  } else if (instruction === Class.STX) {
    if (isNull(env, env.reg(valueReg))) markChainPrecision(env, valueReg);
    else checkKptrMatch(env, field, valueReg);
  } else if (instruction === Class.ST) {
    if (env.insns.imm[insn] !== 0) {
      env.fail(
        "verifier/kptr-store",
        `BPF_ST imm must be 0 when storing to kptr at off=${field.offset}`,
        "EACCES",
      );
    }
  } else {
    env.fail(
      "verifier/kptr-access",
      "kptr in map can only be accessed using BPF_LDX/BPF_STX/BPF_ST",
      "EACCES",
    );
  }
}

function loadKptr(env: VerifierEnv, valueReg: number, field: SpecialField): void {
  const { btf, type } = targetOf(env, field);
  markBtfLoad(env, env.reg(valueReg), RegType.PTR_TO_BTF_ID, btf, type, kptrFlags(env, field));
}

/** A user pointer is plain memory of the size of its type. `mark_uptr_ld_reg` */
function loadUptr(env: VerifierEnv, valueReg: number, field: SpecialField): void {
  const row = env.reg(valueReg);
  const { btf, type } = targetOf(env, field);
  const struct = btfOf(env, btf).types[type];
  markBtfLoad(env, row, RegType.PTR_TO_BTF_ID, btf, type, TypeFlag.PTR_MAYBE_NULL);
  env.mem.i32[row + TYPE] = RegType.PTR_TO_MEM | TypeFlag.PTR_MAYBE_NULL;
  env.mem.i32[row + A] = struct.kind === "struct" || struct.kind === "union" ? struct.size : 0;
  env.mem.i32[row + B] = 0;
}

function targetOf(env: VerifierEnv, field: SpecialField): { readonly btf: number; readonly type: number } {
  return field.kptr ?? env.unsupported("kptr field without a type");
}

/** Flags of a pointer loaded from the field. `btf_ld_kptr_type` @ v6.18 */
export function kptrFlags(env: VerifierEnv, field: SpecialField): number {
  const { btf, type } = targetOf(env, field);
  const local = btf === BTF_PROGRAM;
  const rcuSafe =
    field.kind === "kptrPercpu" ||
    (field.kind === "kptrRef" && (local || RCU_PROTECTED.includes(typeName(btfOf(env, btf), type))));
  if (!rcuSafe || !inRcuSection(env)) return TypeFlag.PTR_MAYBE_NULL | TypeFlag.PTR_UNTRUSTED;
  let flags = TypeFlag.PTR_MAYBE_NULL | TypeFlag.MEM_RCU;
  if (field.kind === "kptrPercpu") flags |= TypeFlag.MEM_PERCPU;
  else if (local) flags |= TypeFlag.MEM_ALLOC;
  const record = local ? env.access.objectRecord(env, btf, type) : undefined;
  if (record?.fields.some((each) => each.kind === "listNode" || each.kind === "rbNode"))
    flags |= TypeFlag.NON_OWN_REF;
  return flags;
}

/** Register `reg` may be stored into the field. `map_kptr_match_type` @ v6.18 */
export function checkKptrMatch(env: VerifierEnv, field: SpecialField, reg: number): void {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  const target = targetOf(env, field);
  let name = "";
  if (baseType(type) === RegType.PTR_TO_BTF_ID) {
    let allowed: number;
    if (i32[row + B] !== BTF_PROGRAM) {
      allowed = TypeFlag.PTR_MAYBE_NULL | TypeFlag.PTR_TRUSTED | TypeFlag.MEM_RCU;
      if (field.kind === "kptrUnref") allowed |= TypeFlag.PTR_UNTRUSTED;
    } else {
      allowed = TypeFlag.PTR_MAYBE_NULL | TypeFlag.MEM_ALLOC;
      if (field.kind === "kptrPercpu") allowed |= TypeFlag.MEM_PERCPU;
    }
    const flagsFit = (typeFlags(type) & ~allowed) === 0;
    if (flagsFit && (field.kind === "kptrPercpu") === ((type & TypeFlag.MEM_PERCPU) !== 0)) {
      name = structNameOf(env, row);
      checkUnmodified(env, row, reg, i32[row + OFF], true);
      const strict = field.kind !== "kptrUnref";
      const wanted = btfOf(env, target.btf);
      const flexible = (type & TypeFlag.MEM_ALLOC) === 0;
      if (
        structContains(
          btfOf(env, i32[row + B]),
          i32[row + A],
          i32[row + OFF],
          wanted,
          target.type,
          strict,
          flexible,
        )
      )
        return;
    }
  }
  const wantedName = typeName(btfOf(env, target.btf), target.type);
  const expected = `${regTypeName(RegType.PTR_TO_BTF_ID)}${wantedName}`;
  const untrusted = `${regTypeName(RegType.PTR_TO_BTF_ID | TypeFlag.PTR_UNTRUSTED)}${wantedName}`;
  env.fail(
    "verifier/kptr-type",
    `invalid kptr access, R${reg} type=${regTypeName(type)}${name} expected=${expected}${field.kind === "kptrUnref" ? ` or ${untrusted}` : ""}`,
    "EACCES",
  );
}
