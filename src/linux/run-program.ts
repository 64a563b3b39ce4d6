import { ERRNO } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import type { RunInput, RunResult } from "../object/index.ts";
import type { LinuxProgram } from "./program.ts";
import { linuxError, type Sys } from "./sys/index.ts";

/** BPF_PROG_TEST_RUN, once: a run has effects and is never repeated behind the caller's back. @throws BpfError `linux/…`. */
export function runProgram(sys: Sys, program: LinuxProgram, input: RunInput): RunResult {
  const { data, ctx, repeat, cpu } = input;
  const onCpu = cpu !== undefined && program.type === "BPF_PROG_TYPE_RAW_TRACEPOINT";
  using _pinned = cpu === undefined || onCpu ? undefined : pinnedTo(sys, cpu);
  const dataOut = data && new Uint8Array(data.length + GROWTH);
  // These two take a context and refuse a place for it; syscall programs change the one that they are given.
  const inPlace = program.type === "BPF_PROG_TYPE_SYSCALL" || program.type === "BPF_PROG_TYPE_RAW_TRACEPOINT";
  const ctxIn = inPlace ? ctx?.slice() : ctx;
  const ctxOut = ctx && !inPlace ? new Uint8Array(Math.max(ctx.length, CTX_ROOM)) : undefined;
  const answer = sys.tryBpf("BPF_PROG_TEST_RUN", {
    progFd: program.handle,
    dataIn: data,
    dataSizeIn: data?.length,
    dataOut,
    dataSizeOut: dataOut?.length,
    ctxIn,
    ctxSizeIn: ctx?.length,
    ctxOut,
    ctxSizeOut: ctxOut?.length,
    repeat,
    cpu: onCpu ? cpu : undefined,
    flags: input.flags ?? (onCpu ? BPF_F_TEST_RUN_ON_CPU : 0),
    batchSize: input.batchSize,
  });
  if (answer.result < 0) {
    throw linuxError(answer.result, {
      doing: `running program '${program.name}'`,
      command: "BPF_PROG_TEST_RUN",
      needs: program.needs,
      subject: program.name,
      ...(answer.result === -ERRNO.ENOSPC && { hint: "the packet grew past the largest that comes back" }),
    });
  }
  return {
    retval: answer.field("retval"),
    durationNs: answer.field("duration"),
    ...(dataOut && { data: dataOut.slice(0, answer.field("dataSizeOut")) }),
    ...(ctxOut && { ctx: ctxOut.slice(0, answer.field("ctxSizeOut")) }),
    ...(inPlace && ctxIn && { ctx: ctxIn }),
  };
}

/**
 * Keeps this thread on one CPU until disposed: only raw tracepoints take a CPU from bpf(2), the others run where the
 * caller does.
 * @throws BpfError `linux/no-cpu`.
 */
function pinnedTo(sys: Sys, cpu: number): Disposable {
  const before = new Uint8Array(CPU_SET_BYTES);
  const wanted = new Uint8Array(CPU_SET_BYTES);
  wanted[cpu >> 3] = 1 << (cpu & 7);
  sys.check({ doing: "asking for this thread's CPUs" }, "sched_getaffinity", 0, before.length, before);
  if (sys.call("sched_setaffinity", 0, wanted.length, wanted) < 0) {
    throw new BpfError("linux/no-cpu", `there is no CPU ${cpu} that this process may run on`, {
      errno: "ENXIO",
    });
  }
  return {
    [Symbol.dispose]: () => {
      sys.call("sched_setaffinity", 0, before.length, before);
    },
  };
}

/** Room for 8192 CPUs. */
const CPU_SET_BYTES = 1024;
const BPF_F_TEST_RUN_ON_CPU = 1;
/** No context is longer; the kernel gives all of one, also where less came in. */
const CTX_ROOM = 256;
/** The most a program can grow a packet by: `bpf_skb_change_tail` stops at 16 KiB and some. */
const GROWTH = 20 * 1024;
