import { ATTACH_TYPES, ERRNO, PROGRAM_TYPES, type ProgramTypeName, programTypeRow } from "../../abi/index.ts";
import { BpfError, type Diagnostic } from "../../base/index.ts";
import { type Btf, type BtfIndex, type CoreRelocation, essentialName } from "../../btf/index.ts";
import {
  applyCoreRelocations,
  attachTargetOf,
  type CollectionSpec,
  type CoreApplication,
  type LoadOptions,
  type ProgramSpec,
  targetType,
} from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxMap } from "../maps/linux-map.ts";
import { LinuxProgram } from "../program.ts";
import { cString, type Fd } from "../sys/index.ts";
import type { UploadedBtf } from "./btf-upload.ts";
import { resolveReferences } from "./references.ts";
import { rejection } from "./rejection.ts";

/** What loading a program needs of its collection. */
export interface ProgramSurroundings {
  readonly spec: CollectionSpec;
  readonly options: LoadOptions;
  readonly maps: ReadonlyMap<string, LinuxMap>;
  readonly btf: UploadedBtf | undefined;
}

const BPF_F_SLEEPABLE = 1 << 4;
const BPF_F_XDP_HAS_FRAGS = 1 << 5;
/** First size of the log's buffer, and the largest the kernel takes. */
const LOG_BYTES = 64 << 10;
const MAX_LOG_BYTES = 64 << 20;
/** The kernel may answer EAGAIN while a signal is pending. */
const ATTEMPTS = 5;

/**
 * Loads one program: CO-RE against the running kernel, references, attach target, BTF of functions and lines.
 * @throws BpfError `linux/rejected` with the verifier's log, `linux/…`, `core/…`.
 */
export function loadProgram(
  context: LinuxContext,
  program: ProgramSpec,
  around: ProgramSurroundings,
): LinuxProgram {
  const { type } = program;
  if (type === undefined) {
    throw new BpfError(
      "linux/no-program-type",
      `section '${program.section}' does not say what type of program '${program.name}' is`,
      { subject: program.name, hint: 'use a section name that libbpf knows, such as SEC("xdp")' },
    );
  }
  const { sys, facts } = context;
  const typed = withRuntimeAttachType(context, { ...program, type });
  const core = relocate(context, typed, around);
  const relocated = { ...typed, insns: core.insns };
  const { insns, fdArray } = resolveReferences(context, around.spec, relocated, around.maps);
  const target = attachTarget(context, typed, around);
  const fds = fdArray.length === 0 ? undefined : int32s(fdArray.map((fd) => fd?.number ?? 0));
  const info = around.btf === undefined ? undefined : debugInfo(relocated, around.btf);
  const input = {
    progType: PROGRAM_TYPES[type].id,
    insnCnt: insns.length / 8,
    insns,
    license: cString(around.spec.license),
    kernVersion: around.spec.kernelVersion || facts.versionCode,
    progFlags:
      (program.flags.sleepable ? BPF_F_SLEEPABLE : 0) | (program.flags.xdpFrags ? BPF_F_XDP_HAS_FRAGS : 0),
    progName: program.name,
    expectedAttachType:
      target.structOpsMember ?? (typed.attachType === undefined ? 0 : ATTACH_TYPES[typed.attachType]),
    attachBtfId: target.attachBtfId,
    attachTarget: target.fd,
    fdArray: fds,
    ...(info !== undefined && around.btf !== undefined && { ...info, progBtfFd: around.btf.fd }),
  };
  const { logLevel = 0 } = context.options;
  let log = logLevel === 2 ? new Uint8Array(LOG_BYTES) : undefined;
  let result = 0;
  for (let attempt = 0; attempt < ATTEMPTS; ) {
    const answer = sys.tryBpf("BPF_PROG_LOAD", {
      ...input,
      ...(log && { logBuf: log, logSize: log.length, logLevel: Math.max(logLevel, 1) }),
    });
    result = answer.result;
    if (result >= 0) {
      const fd = sys.own(result, `program '${program.name}'`);
      return new LinuxProgram(context, relocated, fd, logText(log), around.maps);
    }
    if (result === -ERRNO.EAGAIN) attempt++;
    else if (context.options.logLevel === 0) break;
    else if (log === undefined) log = new Uint8Array(LOG_BYTES);
    else if (result === -ERRNO.ENOSPC && log.length < MAX_LOG_BYTES) log = new Uint8Array(log.length * 4);
    else break;
  }
  throw rejection(context, around.spec, relocated, {
    errno: result,
    log: logText(log),
    poisoned: core.diagnostics,
    needs: programTypeRow(type).capabilities,
  });
}

/** USDT probes go through uprobe-multi links where the kernel has them. */
function withRuntimeAttachType(
  context: LinuxContext,
  program: ProgramSpec & { readonly type: ProgramTypeName },
): ProgramSpec & { readonly type: ProgramTypeName } {
  return /^usdt(\.s)?(\/|$)/.test(program.section) && context.facts.has("uprobe-multi")
    ? { ...program, attachType: "BPF_TRACE_UPROBE_MULTI" }
    : program;
}

function relocate(
  context: LinuxContext,
  program: ProgramSpec,
  around: ProgramSurroundings,
): Pick<CoreApplication, "insns" | "diagnostics"> {
  if (program.coreRelocations.length === 0) return { insns: program.insns, diagnostics: [] };
  const { btf } = around.spec;
  const target = around.options.targetBtf ?? context.facts.btf;
  if (btf === undefined || target === undefined) {
    throw new BpfError(
      "linux/no-kernel-btf",
      `prog '${program.name}' has CO-RE relocations and ${btf === undefined ? "the object" : "the kernel"} no BTF`,
      {
        subject: program.name,
        hint: btf === undefined ? "compile with -g" : "give targetBtf: types of this kernel's build",
      },
    );
  }
  const diagnostics: Diagnostic[] = [];
  let { insns } = program;
  for (const [types, coreRelocations] of byTarget(context, program, btf, around.options.targetBtf)) {
    const applied = applyCoreRelocations({ insns, coreRelocations }, btf, types);
    if (applied.error !== undefined) throw applied.error;
    insns = applied.insns;
    diagnostics.push(...applied.diagnostics);
  }
  return { insns, diagnostics };
}

/** Relocations against the kernel's types and, for types that only a module has, against the module's. */
function byTarget(
  context: LinuxContext,
  program: ProgramSpec,
  btf: Btf,
  given: Btf | undefined,
): ReadonlyMap<Btf | BtfIndex, readonly CoreRelocation[]> {
  const { facts } = context;
  const kernel = facts.btf;
  if (given !== undefined || kernel === undefined) return new Map([[given ?? btf, program.coreRelocations]]);
  const groups = new Map<BtfIndex, CoreRelocation[]>([[kernel, []]]);
  for (const relocation of program.coreRelocations) {
    const name = essentialName(btf.types[relocation.type]?.name ?? "");
    const module =
      name === "" || kernel.flavours(name).length > 0 ? undefined : facts.findType(name, "struct")?.btf.index;
    const index = module ?? kernel;
    const group = groups.get(index);
    if (group === undefined) groups.set(index, [relocation]);
    else group.push(relocation);
  }
  return groups;
}

interface LoadTarget {
  readonly attachBtfId?: number;
  readonly structOpsMember?: number;
  /** Program or module BTF that the id counts in. */
  readonly fd?: Fd;
}

/** The type of the kernel, of a module or of another program that the program is loaded for. */
function attachTarget(
  context: LinuxContext,
  program: ProgramSpec & { readonly type: ProgramTypeName },
  around: ProgramSurroundings,
): LoadTarget {
  const other = around.options.targets?.[program.name];
  if (other !== undefined) return programTarget(context, program, other);
  const { facts } = context;
  if (program.type === "BPF_PROG_TYPE_STRUCT_OPS") return attachTargetOf(around.spec, program, facts.btf);
  const needsTarget = BTF_TARGET.has(program.type);
  if (!needsTarget) return {};
  const wanted = program.attachTo === undefined ? undefined : splitModule(program.attachTo);
  const named = wanted && targetType(program, wanted.name);
  const found = named && facts.findType(named.name, named.kind, wanted.module);
  if (found !== undefined) {
    return { attachBtfId: found.id, ...(found.btf.fd && { fd: found.btf.fd }) };
  }
  throw new BpfError(
    "linux/no-target",
    wanted === undefined
      ? `prog '${program.name}': section '${program.section}' does not say what to attach to`
      : `prog '${program.name}': this kernel (${facts.version}) has no '${named?.name ?? wanted.name}' to attach to`,
    {
      subject: program.name,
      hint:
        program.type === "BPF_PROG_TYPE_EXT"
          ? `give targets: { ${program.name}: { program, function } }`
          : "`bpftool btf dump file /sys/kernel/btf/vmlinux` lists what there is; inlined functions are not",
    },
  );
}

const BTF_TARGET: ReadonlySet<ProgramTypeName> = new Set([
  "BPF_PROG_TYPE_TRACING",
  "BPF_PROG_TYPE_LSM",
  "BPF_PROG_TYPE_EXT",
]);

/** `"module:function"` as libbpf 1.3 takes it. */
function splitModule(target: string): { readonly name: string; readonly module?: string } {
  const colon = target.indexOf(":");
  return colon < 0 ? { name: target } : { module: target.slice(0, colon), name: target.slice(colon + 1) };
}

function programTarget(
  context: LinuxContext,
  program: ProgramSpec,
  target: NonNullable<LoadOptions["targets"]>[string],
): LoadTarget {
  const live = [...context.programs.values()].find((candidate) => candidate === target.program);
  const id = live?.spec.funcs.find(({ name }) => name === target.function)?.btfId;
  if (live === undefined || id === undefined || id === 0) {
    throw new BpfError(
      "linux/no-target",
      `prog '${program.name}': program '${target.program.name}' of this kernel has no function '${target.function}' with BTF`,
      {
        subject: program.name,
        hint: "the target must be loaded by the same kernel object, and compiled with -g",
      },
    );
  }
  return { attachBtfId: id, fd: live.handle };
}

/** `bpf_func_info` and `bpf_line_info` records; none without BTF ids for every function. */
function debugInfo(program: ProgramSpec, btf: UploadedBtf) {
  if (program.funcs.length === 0 || program.funcs.some(({ btfId }) => btfId === 0)) return undefined;
  const funcs = program.funcs.flatMap(({ insn, btfId }) => [insn, btfId]);
  const lines = program.lines.flatMap(({ insn, file, text, line, column }) => [
    insn,
    btf.strings.add(file),
    btf.strings.add(text),
    (line << 10) | column,
  ]);
  return {
    funcInfo: int32s(funcs),
    funcInfoCnt: program.funcs.length,
    funcInfoRecSize: 8,
    ...(lines.length > 0 && {
      lineInfo: int32s(lines),
      lineInfoCnt: program.lines.length,
      lineInfoRecSize: 16,
    }),
  };
}

function int32s(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setInt32(i * 4, value, true);
  return bytes;
}

function logText(log: Uint8Array | undefined): string {
  if (log === undefined) return "";
  const end = log.indexOf(0);
  return new TextDecoder().decode(end < 0 ? log : log.subarray(0, end));
}
