// Walks through kernel objects, from the current task, tracepoints and iterators: our trust rules beside the kernel's.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { afterAll, describe, expect, it } from "vitest";
import type { AttachTypeName, ProgramTypeName } from "../../src/abi/index.ts";
import { type Btf, BtfIndex, type BtfTypeOf, parseBtf } from "../../src/btf/index.ts";
import { encode, type Insn, tableOf } from "../../src/isa/index.ts";
import { accessStruct, isStruct, skipModifiers } from "../../src/verifier/access/btf-walk.ts";
import { Verifier, type VerifierProgram } from "../../src/verifier/index.ts";
import { normLines } from "./norm.ts";
import { RunningKernel } from "./running-kernel.ts";

/** SKEP_WALK_PROGRAMS: how many, SKEP_WALK_SEED: the first one's number. */
const COUNT = Number(process.env.SKEP_WALK_PROGRAMS ?? 2000);
const FIRST = Number(process.env.SKEP_WALK_SEED ?? 1);
const HOOKS: readonly (readonly [name: string, kind: "typedef" | "func"])[] = [
  ["btf_trace_sched_switch", "typedef"],
  ["btf_trace_kfree_skb", "typedef"],
  ["btf_trace_inet_sock_set_state", "typedef"],
  ["btf_trace_sched_process_exec", "typedef"],
  ["bpf_iter_task", "func"],
  ["bpf_iter_task_file", "func"],
  ["bpf_iter_tcp", "func"],
  ["bpf_iter_bpf_map", "func"],
];
const LOAD = [0x71, 0x69, 0x61, 0x79] as const;
const GET_CURRENT_TASK_BTF = 158;

const kernel = await RunningKernel.openSame();
const reason = typeof kernel === "string" ? `: ${kernel}` : "";

describe.skipIf(typeof kernel === "string")(`walks through kernel objects${reason}`, () => {
  afterAll(() => {
    if (typeof kernel !== "string") kernel.close();
  });

  it(`${COUNT} generated programs: same verdict, same words, same work`, { timeout: 600_000 }, async () => {
    if (typeof kernel === "string") return;
    const index = new BtfIndex(parseBtf(readFileSync("/sys/kernel/btf/vmlinux")));
    const verifier = new Verifier();
    const differences: string[] = [];
    let accepted = 0;
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      const program = walkProgram(seed, index);
      const theirs = await kernel.judge(program, 4);
      if (typeof theirs === "string") {
        differences.push(`${seed}: not put to the kernel: ${theirs}`);
        continue;
      }
      const ours = verifier.verify(program, { numCpus: cpus().length });
      if (theirs.accepted) accepted++;
      const text = ours.verdict === "rejected" ? normLines(ours.error.lines) : ours.verdict;
      const wanted = theirs.accepted ? "accepted" : theirs.norm;
      if (text !== wanted) differences.push(`${seed}: ours: ${text} kernel: ${wanted}`);
      else if (theirs.accepted && ours.insnsProcessed !== theirs.processed) {
        differences.push(`${seed}: processed ${ours.insnsProcessed}, kernel ${theirs.processed}`);
      }
    }
    expect(differences).toEqual([]);
    expect(accepted).toBeGreaterThan(COUNT / 20);
  });
});

/** A program that follows pointers from a kernel object on; the same one for the same number. */
function walkProgram(seed: number, index: BtfIndex): VerifierProgram {
  const { btf } = index;
  let state = Math.imul(seed, 2654435761) | 1;
  const below = (limit: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  for (let i = 0; i < 5; i++) below(2);
  const out: Insn[] = [];
  const emit = (opcode: number, dst: number, src = 0, off = 0, imm = 0): void => {
    out.push({ opcode, dst, src, off, imm });
  };
  emit(0xbf, 6, 1);
  const hook = below(2) === 0 ? HOOKS[below(HOOKS.length)] : undefined;
  const hookId = hook && index.find(...hook);
  let type: ProgramTypeName = below(2) === 0 ? "BPF_PROG_TYPE_KPROBE" : "BPF_PROG_TYPE_SYSCALL";
  let attachType: AttachTypeName | undefined;
  let at: number | undefined;
  if (hook !== undefined && hookId !== undefined) {
    type = "BPF_PROG_TYPE_TRACING";
    attachType = hook[1] === "typedef" ? "BPF_TRACE_RAW_TP" : "BPF_TRACE_ITER";
    const argument = below(3);
    emit(0x79, 7, 6, 8 * argument);
    at = argumentStruct(btf, hookId, hook[1] === "typedef" ? argument + 1 : argument);
  } else {
    emit(0x85, 0, 0, 0, GET_CURRENT_TASK_BTF);
    emit(0xbf, 7, 0);
    at = index.find("task_struct", "struct");
  }
  const checks: number[] = [];
  const steps = 1 + below(5);
  for (let i = 0; i < steps; i++) {
    if (i > 0 && below(2) === 0) {
      checks.push(out.length);
      emit(0x15, 7);
    }
    const [off, width] = place(btf, at, below);
    const dst = below(8) === 0 ? 8 : 7;
    if (below(25) === 0) emit(0x7b, 7, 6, off);
    else emit(LOAD[width], dst, 7, off);
    if (dst === 8) continue;
    const found = at === undefined ? undefined : accessStruct(btf, at, off, 1 << width, false);
    at = found?.kind === "pointer" ? found.type : undefined;
  }
  for (const check of checks) out[check] = { ...out[check], off: out.length - check - 1 };
  emit(0xb7, 0);
  emit(0x95, 0);
  return {
    name: `walk${seed}`,
    type,
    attachType,
    ...(hookId !== undefined && { attachBtfId: hookId }),
    insns: encode(tableOf(out)),
    maps: [],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: { sleepable: type === "BPF_PROG_TYPE_SYSCALL" },
    kernelBtf: btf,
  };
}

/** Offset and log2 of the width of an access: mostly of a member, often of a pointer. */
function place(
  btf: Btf,
  id: number | undefined,
  below: (limit: number) => number,
): readonly [number, number] {
  const struct = id === undefined ? undefined : btf.types[id];
  if (!isStruct(struct) || struct.members.length === 0 || below(20) === 0) return [below(200), below(4)];
  const pointers = struct.members.filter(({ type }) => btf.types[skipModifiers(btf, type)].kind === "ptr");
  if (pointers.length > 0 && below(5) < 3) return [pointers[below(pointers.length)].bitOffset >> 3, 3];
  const { bitOffset } = struct.members[below(struct.members.length)];
  return [(bitOffset >> 3) + (below(8) === 0 ? below(64) : 0), below(4)];
}

/** The structure that argument `n` of a tracepoint's or an iterator's function points to. */
function argumentStruct(btf: Btf, hook: number, n: number): number | undefined {
  const typedef = btf.types[hook] as BtfTypeOf<"typedef" | "func">; // looked up by kind
  const target = btf.types[typedef.type];
  const proto = target.kind === "ptr" ? btf.types[target.type] : target;
  const param = proto.kind === "func_proto" ? proto.params[n] : undefined;
  const pointer = param && btf.types[skipModifiers(btf, param.type)];
  if (pointer?.kind !== "ptr") return undefined;
  const id = skipModifiers(btf, pointer.type);
  return isStruct(btf.types[id]) ? id : undefined;
}
