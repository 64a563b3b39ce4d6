import { BpfError } from "../../base/index.ts";
import type { AttachKind, AttachOptions, Link, ProgramSpec } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import type { Attacher } from "./attacher.ts";
import { cgroup } from "./cgroup.ts";
import { freplace } from "./freplace.ts";
import { iter } from "./iter.ts";
import { kprobe } from "./kprobe.ts";
import { kprobeMulti } from "./kprobe-multi.ts";
import { netfilter } from "./netfilter.ts";
import { netkit } from "./netkit.ts";
import { flowDissector, skLookup } from "./network-namespace.ts";
import { perfEvent } from "./perf-event.ts";
import { rawTracepoint } from "./raw-tracepoint.ts";
import { kindOfSection } from "./section-kinds.ts";
import { reuseport, socketFilter } from "./socket-option.ts";
import { sockmap } from "./sockmap.ts";
import { structOps } from "./struct-ops.ts";
import { tc } from "./tc.ts";
import { tcx } from "./tcx.ts";
import { trace } from "./trace.ts";
import { tracepoint } from "./tracepoint.ts";
import { uprobe } from "./uprobe.ts";
import { uprobeMulti } from "./uprobe-multi.ts";
import { usdt } from "./usdt.ts";
import { xdp } from "./xdp.ts";

/** How to attach to each kind of target: one file a kind. */
const ATTACHERS: { readonly [Kind in AttachKind]: Attacher<Kind> } = {
  cgroup,
  freplace,
  "flow-dissector": flowDissector,
  iter,
  kprobe,
  "kprobe-multi": kprobeMulti,
  netfilter,
  netkit,
  "perf-event": perfEvent,
  "raw-tracepoint": rawTracepoint,
  reuseport,
  "sk-lookup": skLookup,
  "socket-filter": socketFilter,
  sockmap,
  "struct-ops": structOps,
  tc,
  tcx,
  trace,
  tracepoint,
  uprobe,
  "uprobe-multi": uprobeMulti,
  usdt,
  xdp,
};

/**
 * Attaches a program to what `options` or its section name say.
 * @throws BpfError `linux/no-target` when neither says where, `linux/…`.
 */
export function attachProgram(context: LinuxContext, program: LinuxProgram, options?: AttachOptions): Link {
  const wanted = options ?? targetOfSection(program.spec);
  if (wanted === undefined) {
    throw new BpfError(
      "linux/no-target",
      `program '${program.name}': section '${program.spec.section}' does not say what to attach to`,
      { subject: program.name, hint: `attach({ kind: "${kindOfSection(program.spec) ?? "…"}", … })` },
    );
  }
  return attacherOf(wanted.kind).attach(context, program, wanted);
}

/** What a program's section name says about its target; undefined when it names none. @throws BpfError `linux/bad-section`. */
export function targetOfSection(program: ProgramSpec): AttachOptions | undefined {
  const kind = kindOfSection(program);
  const target = kind && attacherOf(kind).fromSection?.(program);
  return target && ({ ...target, kind } as AttachOptions); // fromSection's type goes with the kind
}

/** @throws BpfError `linux/invalid` for a kind that there is not, which only untyped callers can ask for. */
function attacherOf(kind: AttachKind): Attacher<AttachKind> {
  if (Object.hasOwn(ATTACHERS, kind)) return ATTACHERS[kind] as Attacher<AttachKind>; // called with options of the same kind only
  throw new BpfError("linux/invalid", `there is no kind of attachment '${String(kind)}'`, {
    errno: "EINVAL",
    hint: `one of ${Object.keys(ATTACHERS).join(", ")}`,
  });
}

export { attachStructOps } from "./struct-ops.ts";
