import { ERRNO } from "../abi/index.ts";
import type { RunInput, RunResult } from "../object/index.ts";
import type { LinuxProgram } from "./program.ts";
import { linuxError, type Sys } from "./sys/index.ts";

/** BPF_PROG_TEST_RUN, once: a run has effects and is never repeated behind the caller's back. @throws BpfError `linux/…`. */
export function runProgram(sys: Sys, program: LinuxProgram, input: RunInput): RunResult {
  const { data, ctx, repeat, cpu } = input;
  const dataOut = data && new Uint8Array(data.length + GROWTH);
  const ctxOut = ctx && new Uint8Array(ctx.length);
  const answer = sys.tryBpf("BPF_PROG_TEST_RUN", {
    progFd: program.handle,
    dataIn: data,
    dataSizeIn: data?.length,
    dataOut,
    dataSizeOut: dataOut?.length,
    ctxIn: ctx,
    ctxSizeIn: ctx?.length,
    ctxOut,
    ctxSizeOut: ctxOut?.length,
    repeat,
    cpu,
    flags: input.flags ?? (cpu === undefined || cpu === 0 ? 0 : BPF_F_TEST_RUN_ON_CPU),
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
  };
}

const BPF_F_TEST_RUN_ON_CPU = 1;
/** The most a program can grow a packet by: `bpf_skb_change_tail` stops at 16 KiB and some. */
const GROWTH = 20 * 1024;
