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
import { xdp } from "./xdp.ts";

/** How to attach to each kind of target: one file a kind. */
const ATTACHERS: { readonly [Kind in AttachKind]?: Attacher<Kind> } = {
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
  const { kind } = wanted;
  const attacher = attacherOf(kind);
  if (attacher === undefined) {
    throw new BpfError("linux/unsupported", `program '${program.name}': cannot attach to kind '${kind}'`, {
      subject: program.name,
    });
  }
  return attacher.attach(context, program, wanted);
}

/** What a program's section name says about its target; undefined when it names none. @throws BpfError `linux/bad-section`. */
export function targetOfSection(program: ProgramSpec): AttachOptions | undefined {
  const kind = kindOfSection(program);
  const target = kind && attacherOf(kind)?.fromSection?.(program);
  return target && ({ ...target, kind } as AttachOptions); // fromSection's type goes with the kind
}

function attacherOf(kind: AttachKind): Attacher<AttachKind> | undefined {
  return ATTACHERS[kind] as Attacher<AttachKind> | undefined; // called with options of the same kind only
}

export { attachStructOps } from "./struct-ops.ts";
