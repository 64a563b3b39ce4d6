// One algorithm: a call of a helper function.
import { type HelperName, PROGRAM_TYPES } from "../../abi/index.ts";
import { checkConstString } from "../access/helper-memory.ts";
import { isProgramReadOnly, mapTypeNumber } from "../access/map-value.ts";
import { attachTypeOf, programTypeOf } from "../access/program-type.ts";
import { constLow } from "../access/row.ts";
import { inRcuSection, inSleepable } from "../access/trust.ts";
import { leaveFunction, pushCallback } from "../calls.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";
import { isVoidCgroupHook, VOID_HOOK } from "../exit.ts";
import { A, F_CALLBACK_DEPTH, F_FLAGS, FrameFlag, ID, OFF, REF_OBJ_ID, TYPE } from "../layout.ts";
import { dynptrRow, releaseDynptr } from "../objects/dynptr.ts";
import { sleeplessRegion } from "../objects/regions.ts";
import { isSleepableHook } from "../prechecks-hooks.ts";
import { markChainPrecision } from "../precision.ts";
import { checkResourceLeak, clearPacketPointers, dropReference, releaseReference } from "../refs.ts";
import { DynptrType, RegType, regTypeName, TypeFlag } from "../register-types.ts";
import { forEachRow, isConst, isNull, markInvalid, markNotInit, markUnknown, umax } from "../regs.ts";
import { markHelperWrite } from "../stack.ts";
import { pushPath } from "../states.ts";
import { checkArg } from "./args.ts";
import { type HelperUser, hasTrampoline, isHelperAvailable } from "./availability.ts";
import { CallState } from "./call-state.ts";
import { isFormatValid } from "./format-string.ts";
import { ITERABLE_MAPS, mapRefusal } from "./map-rules.ts";
import { type HelperProto, helperNames, prototypeFor } from "./prototypes.ts";
import { markReturn } from "./returns.ts";

/** `__BPF_FUNC_MAX_ID` */
const FUNC_MAX_ID = 212;

/** Helpers that are refused on maps programs may only read. */
const MAP_WRITERS: ReadonlySet<HelperName> = new Set<HelperName>([
  "map_delete_elem",
  "map_update_elem",
  "map_push_elem",
  "map_pop_elem",
]);

/** A `bpf_loop` call that could be inlined so far: one callback, flags 0. */
interface LoopInline {
  readonly fits: boolean;
  readonly subprog: number;
}

/**
 * A tail call that succeeds ends the function: its caller goes on with whatever the other program returned and a packet it may
 * have changed. The path behind a tail call that fails is walked later, its packet as it was.
 */
function returnByTailCall(env: VerifierEnv, insn: number): void {
  if (env.cur.curFrame === 0) return;
  if ((env.mem.i32[env.frame + F_FLAGS] & FrameFlag.IN_CALLBACK) !== 0) {
    // Linux 6.18 looks for what made r0, the callback's result, and trips over the call of the callback.
    env.fail("verifier/internal", "verifier bug: callback unexpected regs 1", "EFAULT");
  }
  pushPath(env, insn + 1, insn, false);
  clearPacketPointers(env);
  markUnknown(env, env.reg(0));
  env.pre.stackLiveness.update(env);
  env.next = leaveFunction(env);
}

/** Helper calls of one verification. */
export class HelperCalls {
  private readonly call = new CallState();
  private names: readonly (HelperName | undefined)[] | undefined;
  /** By helper id; null: the program may not call it. */
  private readonly protos: (HelperProto | null | undefined)[] = [];
  private readonly loops = new Map<number, LoopInline>();

  /** `check_helper_call` @ v6.18 */
  check(env: VerifierEnv, insn: number): void {
    const id = env.insns.imm[insn];
    const proto = this.prototype(env, id);
    this.checkRights(env, proto);
    const { call } = this;
    call.start(proto, insn);
    for (let i = 0; i < proto.args.length; i++) checkArg(env, call, i);
    this.checkMapUse(env);
    if (proto.name === "tail_call") this.checkTailCallKey(env);
    if (call.rawReg !== 0)
      markHelperWrite(env, call.rawReg, env.mem.i32[env.reg(call.rawReg) + OFF], call.rawSize, insn);
    if (call.releaseReg !== 0) this.release(env);
    const cpuObject = this.applyEffects(env);
    const changesPacket = proto.row.changesPacket === true || this.writesPacketDynptr(env);
    for (let n = 0; n <= 5; n++) markNotInit(env, env.reg(n));
    env.scratchedRegs |= 0x3f;
    markReturn(env, call, cpuObject);
    this.checkMapType(env);
    if (proto.name === "get_func_ip") checkFuncIp(env, proto);
    if (proto.name === "tail_call") returnByTailCall(env, insn);
    else if (changesPacket) clearPacketPointers(env);
  }

  private prototype(env: VerifierEnv, id: number): HelperProto {
    if (id < 0 || id >= FUNC_MAX_ID) return env.fail("verifier/unknown-helper", `invalid func unknown#${id}`);
    let proto = this.protos[id];
    if (proto === undefined) {
      proto = this.makePrototype(env, id);
      this.protos[id] = proto;
    }
    if (proto !== null) return proto;
    const name = this.names?.[id] ?? "unspec";
    return env.fail(
      "verifier/helper-not-available",
      `program of this type cannot use helper bpf_${name}#${id}`,
    );
  }

  private makePrototype(env: VerifierEnv, id: number): HelperProto | null {
    this.names ??= helperNames();
    const name = this.names[id];
    if (name === undefined) return null;
    const user = userOf(env);
    const available = isHelperAvailable(name, user);
    if (available === undefined) return env.unsupported(`helper bpf_${name} in ${user.hook ?? user.type}`);
    return available ? prototypeFor(name, user.type) : null;
  }

  private checkRights(env: VerifierEnv, { name, id, row }: HelperProto): void {
    if (!env.gplCompatible && row.gplOnly) {
      env.fail("verifier/needs-gpl", "cannot call GPL-restricted function from non-GPL compatible program");
    }
    if (!isAllowedHere(env, name))
      env.fail("verifier/helper-not-allowed", "helper call is not allowed in probe");
    if (row.mightSleep !== true) return;
    if (!inSleepable(env)) {
      env.fail("verifier/helper-might-sleep", "helper call might sleep in a non-sleepable prog");
    }
    const region = sleeplessRegion(env);
    if (region !== undefined) {
      env.fail("verifier/helper-might-sleep", `sleepable helper bpf_${name}#${id} in ${region}`);
    }
  }

  /** Maps that programs may only read are not written. `record_func_map` @ v6.18 */
  private checkMapUse(env: VerifierEnv): void {
    const { call } = this;
    if (call.map < 0 || !MAP_WRITERS.has(call.proto.name)) return;
    if (isProgramReadOnly(env.maps[call.map])) {
      env.fail("verifier/map-read-only", "write into map forbidden", "EACCES");
    }
  }

  /** A constant index inside the map is relied on: the jump becomes direct. `record_func_key` @ v6.18 */
  private checkTailCallKey(env: VerifierEnv): void {
    const { call } = this;
    const map = env.maps[call.map];
    if (map?.type !== "BPF_MAP_TYPE_PROG_ARRAY") {
      env.fail("verifier/map-type", "expected prog array map for tail call");
    }
    const row = env.reg(3);
    if (isConst(env, row) && umax(env, row) < map.maxEntries) markChainPrecision(env, 3);
  }

  private release(env: VerifierEnv): void {
    const { call } = this;
    const { name, id, args } = call.proto;
    let released: boolean;
    if (args[call.releaseReg - 1].kind === "dynptr") {
      releaseDynptr(env, call.releaseReg);
      released = true;
    } else if (call.refObjId === 0) {
      released = isNull(env, env.reg(call.releaseReg));
    } else if (name === "kptr_xchg") {
      released = releaseExchanged(env, call.refObjId);
    } else {
      released = releaseReference(env, call.refObjId);
    }
    if (!released) {
      env.fail("verifier/internal", `func bpf_${name}#${id} reference has not been acquired before`);
    }
  }

  /** What single helpers do beside; true: the result is this CPU's copy of an allocated object. */
  private applyEffects(env: VerifierEnv): boolean {
    const { call } = this;
    switch (call.proto.name) {
      case "tail_call":
        checkResourceLeak(env, false, true, "tail_call");
        return false;
      case "get_local_storage":
        if (!isNull(env, env.reg(2))) {
          env.fail("verifier/helper-argument-value", "get_local_storage() doesn't support non-zero flags");
        }
        markChainPrecision(env, 2);
        return false;
      case "for_each_map_elem":
        if (!ITERABLE_MAPS.has(env.maps[call.map].type)) {
          env.fail("verifier/callback-map", "callback function not allowed for map", "ENOTSUPP");
        }
        pushCallback(env, call.insn, call.subprog, "map_elem");
        return false;
      case "timer_set_callback":
        pushCallback(env, call.insn, call.subprog, "timer");
        return false;
      case "find_vma":
        pushCallback(env, call.insn, call.subprog, "find_vma");
        return false;
      case "user_ringbuf_drain":
        pushCallback(env, call.insn, call.subprog, "user_ringbuf");
        return false;
      case "loop":
        this.startLoop(env);
        return false;
      case "snprintf":
        checkSnprintf(env);
        return false;
      case "set_retval":
        if (isVoidCgroupHook(env)) env.fail("verifier/helper-not-allowed", VOID_HOOK);
        return false;
      case "dynptr_from_mem": {
        const type = env.mem.i32[env.reg(1) + TYPE];
        if (type !== RegType.PTR_TO_MAP_VALUE) {
          env.fail(
            "verifier/argument-type",
            `Unsupported reg type ${regTypeName(type)} for bpf_dynptr_from_mem data`,
            "EACCES",
          );
        }
        return false;
      }
      case "dynptr_data": {
        const row = dynptrRow(env, 1);
        call.dynptrId = env.mem.i32[row + ID];
        call.refObjId = env.mem.i32[row + REF_OBJ_ID];
        return false;
      }
      case "per_cpu_ptr":
      case "this_cpu_ptr":
        return (env.mem.i32[env.reg(1) + TYPE] & TypeFlag.MEM_RCU) !== 0;
      default:
        return false;
    }
  }

  /** One more round of a `bpf_loop` callback, as long as its count may not be used up. */
  private startLoop(env: VerifierEnv): void {
    const { call } = this;
    this.noteInline(env);
    markChainPrecision(env, 1);
    const depth = env.frame + F_CALLBACK_DEPTH;
    if (env.mem.i32[depth] < umax(env, env.reg(1))) {
      pushCallback(env, call.insn, call.subprog, "loop");
      return;
    }
    env.mem.i32[depth] = 0;
    if (env.log.tracesAll) env.verbose(`frame${env.cur.curFrame} bpf_loop iteration limit reached\n`);
  }

  /** The kernel inlines the loop when its flags are always 0: it relies on them. `update_loop_inline_state` @ v6.18 */
  private noteInline(env: VerifierEnv): void {
    const { call } = this;
    const before = this.loops.get(call.insn);
    if (before !== undefined && !before.fits) return;
    const zero = isNull(env, env.reg(4));
    if (zero) markChainPrecision(env, 4);
    const fits = zero && (before === undefined || before.subprog === call.subprog);
    this.loops.set(call.insn, { fits, subprog: before?.subprog ?? call.subprog });
  }

  private writesPacketDynptr(env: VerifierEnv): boolean {
    if (this.call.proto.name !== "dynptr_write") return false;
    const type = env.mem.i32[dynptrRow(env, 1) + A];
    return type === DynptrType.SKB || type === DynptrType.SKB_META;
  }

  private checkMapType(env: VerifierEnv): void {
    const { map, proto } = this.call;
    if (map < 0) return;
    const refusal = mapRefusal(proto.name, env.maps[map].type, programTypeOf(env), attachTypeOf(env));
    if (refusal === undefined) return;
    if (refusal === "sockmap") env.verbose("cannot update sockmap in this context\n");
    const number = mapTypeNumber(env.maps[map]);
    env.fail("verifier/map-type", `cannot pass map_type ${number} into func bpf_${proto.name}#${proto.id}`);
  }
}

/** The old owner of an exchanged object; inside an RCU section a per-CPU object stays readable. */
function releaseExchanged(env: VerifierEnv, ref: number): boolean {
  const { i32 } = env.mem;
  const inRcu = inRcuSection(env);
  if (!dropReference(env, ref)) return false;
  const percpu = TypeFlag.MEM_ALLOC | TypeFlag.MEM_PERCPU;
  forEachRow(env, (row) => {
    if (i32[row + REF_OBJ_ID] !== ref) return;
    if (!inRcu || (i32[row + TYPE] & percpu) !== percpu) {
      markInvalid(env, row);
      return;
    }
    i32[row + REF_OBJ_ID] = 0;
    i32[row + TYPE] = (i32[row + TYPE] & ~TypeFlag.MEM_ALLOC) | TypeFlag.MEM_RCU;
  });
  return true;
}

/** `check_bpf_snprintf_call` @ v6.18 */
function checkSnprintf(env: VerifierEnv): void {
  const bytes = constLow(env, env.reg(5));
  if (bytes % 8 !== 0) env.fail("verifier/format-string", "");
  if (!isFormatValid(checkConstString(env, 3), bytes / 8))
    env.fail("verifier/format-string", "Invalid format string");
}

/** `check_get_func_ip` @ v6.18 */
function checkFuncIp(env: VerifierEnv, { id }: HelperProto): void {
  const type = programTypeOf(env);
  if (type === "BPF_PROG_TYPE_KPROBE") return;
  if (type !== "BPF_PROG_TYPE_TRACING") {
    const number = PROGRAM_TYPES[type].id;
    env.fail(
      "verifier/helper-not-available",
      `func bpf_get_func_ip#${id} not supported for program type ${number}`,
      "ENOTSUPP",
    );
  }
  if (!hasTrampoline(type, attachTypeOf(env))) {
    env.fail(
      "verifier/helper-not-available",
      `func bpf_get_func_ip#${id} supported only for fentry/fexit/fmod_ret programs`,
      "ENOTSUPP",
    );
  }
}

/** Kernel functions from which `bpf_d_path` may be called. @see kernel/trace/bpf_trace.c `btf_allowlist_d_path` @ v6.18 */
const PATH_FUNCTIONS: ReadonlySet<string> = new Set([
  "security_file_permission",
  "security_inode_getattr",
  "security_file_open",
  "security_path_truncate",
  "vfs_truncate",
  "vfs_fallocate",
  "dentry_open",
  "vfs_getattr",
  "filp_close",
]);

/** The `allowed` functions of single prototypes. */
function isAllowedHere(env: VerifierEnv, name: HelperName): boolean {
  const type = programTypeOf(env);
  const attach = attachTypeOf(env);
  if (name === "d_path") {
    if (type === "BPF_PROG_TYPE_TRACING" && attach === "BPF_TRACE_ITER") return true;
    if (type === "BPF_PROG_TYPE_LSM") return isSleepableHook(hookName(env) ?? "");
    return PATH_FUNCTIONS.has(hookName(env) ?? "");
  }
  if (name === "ima_inode_hash" || name === "ima_file_hash") {
    return type === "BPF_PROG_TYPE_LSM" && isSleepableHook(hookName(env) ?? "");
  }
  const isSkStorage = name === "sk_storage_get" || name === "sk_storage_delete";
  if (isSkStorage && type === "BPF_PROG_TYPE_SYSCALL") return false;
  if (isSkStorage && type === "BPF_PROG_TYPE_TRACING") {
    if (attach === "BPF_TRACE_ITER") return true;
    if (attach === "BPF_MODIFY_RETURN") return false;
    return attach === "BPF_TRACE_RAW_TP" || !(hookName(env) ?? "").startsWith("bpf_sk_storage");
  }
  return true;
}

/** Name of what the program attaches to, without the member of a structure. */
function hookName(env: VerifierEnv): string | undefined {
  const { attachBtfId, attachTo } = env.program;
  const name = attachBtfId ? env.btfs[BTF_KERNEL]?.types[attachBtfId]?.name : undefined;
  return name || attachTo?.split("/")[0];
}

function userOf(env: VerifierEnv): HelperUser {
  const { structOpsMember, attachTo } = env.program;
  const hook = hookName(env);
  const struct = env.program.attachBtfId ? env.btfs[BTF_KERNEL]?.types[env.program.attachBtfId] : undefined;
  const member =
    struct?.kind === "struct" && structOpsMember !== undefined
      ? struct.members[structOpsMember]?.name
      : attachTo?.split("/")[1];
  return {
    type: programTypeOf(env),
    attachType: attachTypeOf(env),
    hook,
    member,
    rights: env.rights,
  };
}
