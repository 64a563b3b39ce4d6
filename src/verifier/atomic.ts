import { accessBytes } from "../isa/index.ts";
import { checkBounds } from "./alu.ts";
import type { VerifierEnv } from "./env.ts";
import { TYPE } from "./layout.ts";
import { savePointerType } from "./pointer-type.ts";
import { MemAccess } from "./ports.ts";
import { BASE_TYPE_MASK, isSocketPointer, RegType, regTypeName } from "./register-types.ts";
import { checkRegRead, checkRegWrite, checkRegWriteUnknown, isPointerValue } from "./regs.ts";

const FETCH = 0x01;
const CMPXCHG = 0xf1;
const LOAD_ACQUIRE = 0x100;
const STORE_RELEASE = 0x110;
/** ADD, AND, OR, XOR, each with and without FETCH, XCHG, CMPXCHG. */
const READ_MODIFY_WRITE: ReadonlySet<number> = new Set([
  0x00,
  0x01,
  0x50,
  0x51,
  0x40,
  0x41,
  0xa0,
  0xa1,
  0xe1,
  CMPXCHG,
]);

/** An atomic instruction. `check_atomic` @ v6.18 */
export function checkAtomic(env: VerifierEnv, insn: number): void {
  const imm = env.insns.imm[insn];
  if (READ_MODIFY_WRITE.has(imm)) {
    checkReadModifyWrite(env, insn, imm);
  } else if (imm === LOAD_ACQUIRE) {
    checkLoadAcquire(env, insn);
  } else if (imm === STORE_RELEASE) {
    checkStoreRelease(env, insn);
  } else {
    const text = `BPF_ATOMIC uses invalid atomic opcode ${(imm >>> 0).toString(16).padStart(2, "0")}`;
    env.fail("verifier/bad-instruction", text);
  }
}

function checkReadModifyWrite(env: VerifierEnv, insn: number, imm: number): void {
  const { insns, mem } = env;
  const bytes = accessBytes(insns.opcode[insn]);
  const src = insns.src[insn];
  const dst = insns.dst[insn];
  const off = insns.off[insn];
  if (bytes < 4) env.fail("verifier/bad-instruction", "invalid atomic operand size");
  checkRegRead(env, src);
  checkRegRead(env, dst);
  if (imm === CMPXCHG) {
    checkRegRead(env, 0);
    refuseLeak(env, 0);
  }
  refuseLeak(env, src);
  checkTarget(env, dst, "stores into");
  const loaded = (imm & FETCH) === 0 ? -1 : imm === CMPXCHG ? 0 : src;
  // The old value arrives before the address is looked at: `r1 = xchg [r1]` loses its pointer.
  if (loaded >= 0) checkRegWriteUnknown(env, loaded);
  const { access } = env;
  access.checkMemAccess(env, insn, dst, off, bytes, MemAccess.READ, -1, true, false);
  if (loaded >= 0) access.checkMemAccess(env, insn, dst, off, bytes, MemAccess.READ, loaded, true, false);
  savePointerType(env, insn, mem.i32[env.reg(dst) + TYPE], false);
  access.checkMemAccess(env, insn, dst, off, bytes, MemAccess.WRITE, -1, true, false);
}

function checkLoadAcquire(env: VerifierEnv, insn: number): void {
  const { insns, mem } = env;
  const src = insns.src[insn];
  const dst = insns.dst[insn];
  checkRegRead(env, src);
  checkRegWrite(env, dst);
  const type = mem.i32[env.reg(src) + TYPE];
  const bytes = accessBytes(insns.opcode[insn]);
  env.access.checkMemAccess(env, insn, src, insns.off[insn], bytes, MemAccess.READ, dst, true, false);
  savePointerType(env, insn, type, false);
  checkBounds(env, env.reg(dst), "atomic_load");
  checkTarget(env, src, "loads from");
}

function checkStoreRelease(env: VerifierEnv, insn: number): void {
  const { insns, mem } = env;
  const src = insns.src[insn];
  const dst = insns.dst[insn];
  checkRegRead(env, src);
  checkRegRead(env, dst);
  const type = mem.i32[env.reg(dst) + TYPE];
  const bytes = accessBytes(insns.opcode[insn]);
  env.access.checkMemAccess(env, insn, dst, insns.off[insn], bytes, MemAccess.WRITE, src, true, false);
  savePointerType(env, insn, type, false);
  checkTarget(env, dst, "stores into");
}

function refuseLeak(env: VerifierEnv, n: number): void {
  if (isPointerValue(env, env.reg(n))) {
    env.fail("verifier/pointer-leak", `R${n} leaks addr into mem`, "EACCES");
  }
}

/** Memory that is no memory, or that the kernel reaches through rewritten instructions. `atomic_ptr_type_ok` */
function checkTarget(env: VerifierEnv, n: number, verb: string): void {
  const type = env.mem.i32[env.reg(n) + TYPE];
  switch (type & BASE_TYPE_MASK) {
    case RegType.PTR_TO_CTX:
    case RegType.PTR_TO_PACKET:
    case RegType.PTR_TO_PACKET_META:
    case RegType.PTR_TO_FLOW_KEYS:
      break;
    default:
      if (!isSocketPointer(type)) return;
  }
  env.fail(
    "verifier/atomic-target",
    `BPF_ATOMIC ${verb} R${n} ${regTypeName(type)} is not allowed`,
    "EACCES",
  );
}
