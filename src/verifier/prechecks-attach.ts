import { type AttachTypeName, type ProgramTypeName, programTypeRow } from "../abi/index.ts";
import type { BtfType } from "../btf/index.ts";
import type { VerifierEnv } from "./env.ts";
import type { VerifierProgram } from "./input.ts";
import { type Fail, failOf } from "./prechecks-fail.ts";
import {
  DENIED_FUNCTIONS,
  DISABLED_LSM_HOOKS,
  INJECTION_FUNCTION,
  isModifiable,
  isSystemCall,
  NON_SLEEPABLE_INJECTED,
  NORETURN_FUNCTIONS,
  SLEEPABLE_LSM_HOOKS,
  SLEEPABLE_MODIFIABLE,
} from "./prechecks-hooks.ts";
import { checkTrampoline } from "./prechecks-prototype.ts";
import { checkProgramTarget } from "./prechecks-target.ts";

/**
 * What bpf(2) refuses before the verifier proper starts, without a word in its log: rights and attach types (the size is
 * checked where the program is taken in). The messages are ours.
 * @see kernel/bpf/syscall.c `bpf_prog_load` @ v6.18
 */
export function checkLoad(env: VerifierEnv): void {
  const { program } = env;
  const fail = failOf(env);
  checkRights(env, fail);
  const allowed = ATTACH_TYPES_OF[program.type];
  const attachType = effectiveAttachType(program);
  if (allowed !== undefined && !allowed.includes(attachType)) {
    const message = `programs of type ${program.type} cannot have attach type ${attachType}`;
    fail("verifier/bad-attach-type", message, "EINVAL");
  }
}

/** The attach type after bpf(2) has filled in what older programs leave out; number 0 where there is none. */
export function effectiveAttachType({ type, attachType }: VerifierProgram): AttachTypeName {
  if (attachType !== undefined && attachType !== "BPF_CGROUP_INET_INGRESS") return attachType;
  if (type === "BPF_PROG_TYPE_CGROUP_SOCK") return "BPF_CGROUP_INET_SOCK_CREATE";
  if (type === "BPF_PROG_TYPE_SK_REUSEPORT") return "BPF_SK_REUSEPORT_SELECT";
  return "BPF_CGROUP_INET_INGRESS";
}

/** Program types without CAP_BPF. */
const UNPRIVILEGED_TYPES: ReadonlySet<ProgramTypeName> = new Set([
  "BPF_PROG_TYPE_SOCKET_FILTER",
  "BPF_PROG_TYPE_CGROUP_SKB",
]);

function checkRights(env: VerifierEnv, fail: Fail): void {
  const { type } = env.program;
  if (UNPRIVILEGED_TYPES.has(type)) return;
  const missing = programTypeRow(type).capabilities.filter((capability) => !env.rights.has(capability));
  if (missing.length === 0) return;
  const message = `loading a program of type ${type} needs ${missing.join(" and ")}`;
  fail("verifier/missing-capability", message, "EPERM");
}

/** Attach types that bpf(2) takes, for the types where it looks. @see `bpf_prog_load_check_attach` @ v6.18 */
const ATTACH_TYPES_OF: Readonly<Partial<Record<ProgramTypeName, readonly AttachTypeName[]>>> = {
  BPF_PROG_TYPE_CGROUP_SOCK: [
    "BPF_CGROUP_INET_SOCK_CREATE",
    "BPF_CGROUP_INET_SOCK_RELEASE",
    "BPF_CGROUP_INET4_POST_BIND",
    "BPF_CGROUP_INET6_POST_BIND",
  ],
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: [
    "BPF_CGROUP_INET4_BIND",
    "BPF_CGROUP_INET6_BIND",
    "BPF_CGROUP_INET4_CONNECT",
    "BPF_CGROUP_INET6_CONNECT",
    "BPF_CGROUP_UNIX_CONNECT",
    "BPF_CGROUP_INET4_GETPEERNAME",
    "BPF_CGROUP_INET6_GETPEERNAME",
    "BPF_CGROUP_UNIX_GETPEERNAME",
    "BPF_CGROUP_INET4_GETSOCKNAME",
    "BPF_CGROUP_INET6_GETSOCKNAME",
    "BPF_CGROUP_UNIX_GETSOCKNAME",
    "BPF_CGROUP_UDP4_SENDMSG",
    "BPF_CGROUP_UDP6_SENDMSG",
    "BPF_CGROUP_UNIX_SENDMSG",
    "BPF_CGROUP_UDP4_RECVMSG",
    "BPF_CGROUP_UDP6_RECVMSG",
    "BPF_CGROUP_UNIX_RECVMSG",
  ],
  BPF_PROG_TYPE_CGROUP_SKB: ["BPF_CGROUP_INET_INGRESS", "BPF_CGROUP_INET_EGRESS"],
  BPF_PROG_TYPE_CGROUP_SOCKOPT: ["BPF_CGROUP_SETSOCKOPT", "BPF_CGROUP_GETSOCKOPT"],
  BPF_PROG_TYPE_SK_LOOKUP: ["BPF_SK_LOOKUP"],
  BPF_PROG_TYPE_SK_REUSEPORT: ["BPF_SK_REUSEPORT_SELECT", "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE"],
  BPF_PROG_TYPE_NETFILTER: ["BPF_NETFILTER"],
  BPF_PROG_TYPE_SYSCALL: ["BPF_CGROUP_INET_INGRESS"],
  BPF_PROG_TYPE_EXT: ["BPF_CGROUP_INET_INGRESS"],
};

/**
 * The hook: sleepable programs, and for tracing, LSM, extension and struct_ops programs what they are attached to.
 * @see kernel/bpf/verifier.c `check_attach_btf_id` @ v6.18
 */
export function checkAttachTarget(env: VerifierEnv): void {
  const { program } = env;
  const fail: Fail = failOf(env);
  const { type } = program;
  const sleepable = program.flags.sleepable === true;
  if (type === "BPF_PROG_TYPE_SYSCALL") {
    if (!sleepable) fail("verifier/not-sleepable", "Syscall programs can only be sleepable");
    return;
  }
  if (sleepable && !canSleep(program)) {
    const message = "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable";
    fail("verifier/not-sleepable", message);
  }
  if (type === "BPF_PROG_TYPE_STRUCT_OPS") checkStructOps(env, fail);
  else if (type === "BPF_PROG_TYPE_TRACING" || type === "BPF_PROG_TYPE_LSM" || type === "BPF_PROG_TYPE_EXT") {
    checkFunctionTarget(env, fail);
  }
}

/** `can_be_sleepable` */
function canSleep({ type, attachType }: VerifierProgram): boolean {
  switch (type) {
    case "BPF_PROG_TYPE_TRACING":
      return (
        attachType === "BPF_TRACE_FENTRY" ||
        attachType === "BPF_TRACE_FEXIT" ||
        attachType === "BPF_MODIFY_RETURN" ||
        attachType === "BPF_TRACE_ITER"
      );
    case "BPF_PROG_TYPE_LSM":
      return attachType !== "BPF_LSM_CGROUP";
    default:
      return type === "BPF_PROG_TYPE_KPROBE" || type === "BPF_PROG_TYPE_STRUCT_OPS";
  }
}

/** @see `check_struct_ops_btf_id` @ v6.18; which members may be programs is the structure's owner's to say. */
function checkStructOps(env: VerifierEnv, fail: Fail): void {
  const { program } = env;
  if (!env.gplCompatible) {
    fail("verifier/gpl-only-program", "struct ops programs must have a GPL compatible license");
  }
  const kernel = env.btfs[0];
  if (kernel === undefined) env.unsupported("struct_ops program (needs the kernel's BTF)");
  const id = program.attachBtfId ?? 0;
  const code = "verifier/bad-attach-target";
  if (id === 0) fail(code, "Tracing programs must provide btf_id", "ENOTSUPP");
  const struct = kernel?.types[id];
  if (struct?.kind !== "struct") {
    fail(code, `attach_btf_id ${id} is not a supported struct`, "ENOTSUPP");
  }
  const index = program.structOpsMember ?? -1;
  const member = struct.members[index];
  if (member === undefined) {
    fail(code, `attach to invalid member idx ${index} of struct ${struct.name}`);
  }
  const target = kernel?.types[member.type];
  const proto = target?.kind === "ptr" ? kernel?.types[target.type] : undefined;
  if (proto?.kind !== "func_proto") {
    fail(code, `attach to invalid member ${member.name}(@idx ${index}) of struct ${struct.name}`);
  }
  const owner = STRUCT_OPS[struct.name];
  if (owner === undefined) env.unsupported(`struct_ops structure ${struct.name}`);
  const unsupported = `attach to unsupported member ${member.name} of struct ${struct.name}`;
  if (owner?.closed?.includes(member.name)) fail(code, unsupported, "ENOTSUPP");
  if (program.flags.sleepable === true && owner?.sleepable?.includes(member.name) === false) {
    fail(code, unsupported, "EINVAL");
  }
  // Whoever is called could not give back what it never got.
  const tailCall = env.subprogs.some((subprog) => subprog.hasTailCall);
  if (tailCall && env.kfuncs.referencedArguments(env).length > 0) {
    fail(code, "program with __ref argument cannot tail call");
  }
}

/** What the owner of a structure lets programs implement. */
interface StructOpsRow {
  /** Members that no program may implement. */
  readonly closed?: readonly string[];
  /** The members that sleepable programs may implement; absent: any. */
  readonly sleepable?: readonly string[];
}

/** @see net/ipv4/bpf_tcp_ca.c, net/bpf/bpf_dummy_struct_ops.c, drivers/hid/bpf/hid_bpf_struct_ops.c, kernel/sched/ext.c `check_member` @ v6.18 */
const STRUCT_OPS: Readonly<Record<string, StructOpsRow | undefined>> = {
  tcp_congestion_ops: { closed: ["get_info"] },
  bpf_dummy_ops: { sleepable: ["test_sleepable"] },
  hid_bpf_ops: { sleepable: ["hid_rdesc_fixup", "hid_hw_request", "hid_hw_output_report"] },
  sched_ext_ops: {
    sleepable: [
      "init_task",
      "cgroup_init",
      "cgroup_exit",
      "cgroup_prep_move",
      "cpu_online",
      "cpu_offline",
      "init",
      "exit",
    ],
  },
  Qdisc_ops: {},
};

const TRACE_PREFIX = "btf_trace_";

/** @see `bpf_check_attach_target` @ v6.18 */
function checkFunctionTarget(env: VerifierEnv, fail: Fail): void {
  const { program } = env;
  const code = "verifier/bad-attach-target";
  const id = program.attachBtfId ?? 0;
  if (program.target !== undefined || program.type === "BPF_PROG_TYPE_EXT") {
    checkProgramTarget(env);
    return;
  }
  const kernel = env.btfs[0];
  if (kernel === undefined) env.unsupported(`${program.type} program (needs the kernel's BTF)`);
  if (id === 0) {
    // Named, but not found in this BTF: another kernel's business.
    if (program.attachTo !== undefined) {
      env.unsupported(`attach target '${program.attachTo}' (not in the kernel's BTF)`);
    }
    fail(code, "Tracing programs must provide btf_id");
  }
  const type = kernel.types[id];
  if (type === undefined) fail(code, `attach_btf_id ${id} is invalid`);
  if (type.name === "") fail(code, `attach_btf_id ${id} doesn't have a name`);
  switch (program.attachType) {
    case "BPF_TRACE_RAW_TP":
      checkTracepoint(type, id, fail);
      return;
    case "BPF_TRACE_ITER":
      if (type.kind !== "func") fail(code, `attach_btf_id ${id} is not a function`);
      checkTrampoline(kernel, id, type.name, program.attachType, fail);
      return;
    case "BPF_MODIFY_RETURN":
    case "BPF_LSM_MAC":
    case "BPF_LSM_CGROUP":
    case "BPF_TRACE_FENTRY":
    case "BPF_TRACE_FEXIT":
      if (type.kind !== "func") fail(code, `attach_btf_id ${id} is not a function`);
      break;
    default:
      fail(code, `programs of type ${program.type} cannot have attach type ${program.attachType ?? 0}`);
  }
  checkTrampoline(kernel, id, type.name, program.attachType, fail);
  if (program.type === "BPF_PROG_TYPE_LSM") checkLsm(env, type, id, fail);
  else checkTraced(env, type, fail);
}

/** fentry, fexit and fmod_ret. */
function checkTraced(env: VerifierEnv, type: BtfType, fail: Fail): void {
  const code = "verifier/bad-attach-target";
  const { name } = type;
  const { attachType, flags } = env.program;
  if (flags.sleepable === true) {
    if (name !== SLEEPABLE_MODIFIABLE && (NON_SLEEPABLE_INJECTED.has(name) || !isInjectable(env, name))) {
      fail("verifier/not-sleepable", `${name} is not sleepable`);
    }
  } else if (attachType === "BPF_MODIFY_RETURN" && !isModifiable(name) && !isInjectable(env, name)) {
    fail(code, `${name}() is not modifiable`);
  }
  if (DENIED_FUNCTIONS.has(name)) {
    fail(code, `Attaching tracing programs to function '${name}' is rejected.`);
  }
  if (attachType !== "BPF_TRACE_FENTRY" && NORETURN_FUNCTIONS.has(name)) {
    fail(code, `Attaching fexit/fmod_ret to __noreturn function '${name}' is rejected.`);
  }
}

/** The function is on the kernel's error injection list; "unsupported" where nobody knows. */
function isInjectable(env: VerifierEnv, name: string): boolean {
  const list = env.program.errorInjection;
  if (list !== undefined) return list.has(name);
  if (env.btfIndexes[0]?.find(INJECTION_FUNCTION, "func") === undefined) return false;
  return (
    isSystemCall(name) || env.unsupported(`programs on ${name}() without the kernel's error injection list`)
  );
}

function checkTracepoint(type: BtfType, id: number, fail: Fail): void {
  const code = "verifier/bad-attach-target";
  if (type.kind !== "typedef") fail(code, `attach_btf_id ${id} is not a typedef`);
  if (!type.name.startsWith(TRACE_PREFIX)) {
    fail(code, `attach_btf_id ${id} points to wrong type name ${type.name}`);
  }
}

/** @see kernel/bpf/bpf_lsm.c `bpf_lsm_verify_prog` @ v6.18 */
function checkLsm(env: VerifierEnv, type: BtfType, id: number, fail: Fail): void {
  const code = "verifier/bad-attach-target";
  const { name } = type;
  const isHook = name.startsWith(LSM_PREFIX);
  const hook = name.slice(LSM_PREFIX.length);
  if (env.program.flags.sleepable === true && !(isHook && SLEEPABLE_LSM_HOOKS.has(hook))) {
    fail("verifier/not-sleepable", `${name} is not sleepable`);
  }
  if (!env.gplCompatible) {
    fail("verifier/gpl-only-program", "LSM programs must have a GPL compatible license");
  }
  if (isHook && DISABLED_LSM_HOOKS.has(hook)) {
    fail(code, `attach_btf_id ${id} points to disabled hook ${name}`);
  }
  if (!isHook) fail(code, `attach_btf_id ${id} points to wrong type name ${name}`);
}

const LSM_PREFIX = "bpf_lsm_";
