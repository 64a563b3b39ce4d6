import type { AttachTypeName } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { AttachTargets, Link } from "../../object/index.ts";
import { binaryPath, functionOffset, openBinary } from "../binary/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import { cString } from "../sys/index.ts";
import type { Attacher } from "./attacher.ts";
import { attachToPerfEvent, openPerfEvent, pmuBit, pmuType } from "./perf-events.ts";
import { badSection, cInteger, probeSection } from "./probe-section.ts";

const FORM = 'SEC("uprobe/BINARY:FUNCTION+OFFSET") or SEC("uretprobe/BINARY:FUNCTION")';
const HINTS = {
  EINVAL: "this place cannot be probed: not the start of an instruction, or outside of the file",
  ENOENT: "the file does not exist here; those of a container are below /proc/PID/root",
  ESRCH: "there is no such process",
  ENOTSUPP: "this instruction cannot be probed: take the start of the function",
};

/** A place in a program or library, or the return of a function. */
export const uprobe: Attacher<"uprobe"> = {
  attach(context, program, target) {
    const { retprobe = /^uret/.test(program.spec.section), pid, cookie, function: name, offset = 0 } = target;
    if (name === undefined && target.offset === undefined) {
      throw new BpfError("linux/invalid", "a uprobe needs a function or a file offset", {
        errno: "EINVAL",
        subject: program.name,
      });
    }
    const { arch } = context.sys.libc;
    const path = binaryPath(target.binary, arch, pid);
    const start = name === undefined ? 0 : functionOffset(openBinary(path, arch), name);
    const text = name === undefined ? `+0x${offset.toString(16)}` : `${name}${offset ? `+${offset}` : ""}`;
    return attachUprobe(context, program, {
      kind: "uprobe",
      target: `${retprobe ? "return of " : ""}${path}:${text}`,
      path,
      offset: BigInt(start) + BigInt(offset),
      refCounter: BigInt(target.refCounter ?? 0),
      pid,
      retprobe,
      cookie,
    });
  },

  fromSection(program) {
    const { name, section } = program;
    const found = probeSection(program, FORM);
    if (found === undefined) return undefined;
    const retprobe = /^uret/.test(section);
    const plus = found.place.lastIndexOf("+");
    const offset = plus < 0 ? undefined : cInteger(found.place.slice(plus + 1));
    if (offset === undefined) return { binary: found.binary, function: found.place, retprobe };
    if (retprobe && offset !== 0) throw badSection(name, section, FORM);
    return { binary: found.binary, function: found.place.slice(0, plus), offset, retprobe };
  },
};

/** One probe, all worked out. */
export interface UprobePlace {
  readonly kind: "uprobe" | "usdt";
  /** For people. */
  readonly target: string;
  readonly path: string;
  /** In the file. */
  readonly offset: bigint;
  /** File offset of the counter; 0: none. */
  readonly refCounter: bigint;
  readonly pid: number | undefined;
  readonly retprobe: boolean;
  readonly cookie: AttachTargets["uprobe"]["cookie"];
}

/** Attaches through the uprobe PMU (Linux 4.17). @throws BpfError `linux/…`. */
export function attachUprobe(context: LinuxContext, program: LinuxProgram, place: UprobePlace): Link {
  const { kind, target, path, offset, refCounter, pid = -1, retprobe, cookie } = place;
  const type = pmuType("uprobe");
  if (type === undefined) {
    throw new BpfError("linux/unsupported", "this kernel was built without uprobes (CONFIG_UPROBE_EVENTS)", {
      errno: "EOPNOTSUPP",
      subject: program.name,
    });
  }
  if (program.attachType !== undefined && FOR_MANY.has(program.attachType)) throw forMulti(program);
  const event = openPerfEvent(
    context,
    program,
    {
      type,
      config:
        (retprobe ? 1n << pmuBit("uprobe", "retprobe") : 0n) |
        (refCounter << pmuBit("uprobe", "ref_ctr_offset")),
      config1: cString(path),
      config2: offset,
      pid,
      cpu: pid === -1 ? 0 : -1,
    },
    `attaching '${program.name}' to ${target}`,
    HINTS,
  );
  return attachToPerfEvent(context, program, { kind, target, cookie }, event);
}

const FOR_MANY: ReadonlySet<AttachTypeName> = new Set(["BPF_TRACE_UPROBE_MULTI", "BPF_TRACE_UPROBE_SESSION"]);

function forMulti(program: LinuxProgram): BpfError {
  return new BpfError(
    "linux/invalid",
    `program '${program.name}' was loaded for links of many probes (${program.attachType})`,
    { errno: "EINVAL", subject: program.name, hint: 'attach({ kind: "uprobe-multi", … })' },
  );
}
