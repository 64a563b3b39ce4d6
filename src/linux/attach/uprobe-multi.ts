import { UAPI } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { AttachKind, AttachTargets } from "../../object/index.ts";
import { binaryPath, functionOffset, offsetsLike, openBinary } from "../binary/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import { cString } from "../sys/index.ts";
import { type Attacher, createLink } from "./attacher.ts";
import { globPattern } from "./glob.ts";
import type { BpfLink } from "./link.ts";
import { probeSection } from "./probe-section.ts";
import { u64s } from "./u64s.ts";

const FORM = 'SEC("uprobe.multi/BINARY:PATTERN")';

/** Many places of a program or library by one link (Linux 6.6; sessions 6.13). */
export const uprobeMulti: Attacher<"uprobe-multi"> = {
  attach(context, program, target) {
    const { retprobe = /^uretprobe/.test(program.spec.section), cookies, refCounters, pid } = target;
    const path = binaryPath(target.binary, context.sys.libc.arch, pid);
    const offsets = target.offsets ?? offsetsOf(context, path, target);
    for (const [what, list] of Object.entries({ cookies, refCounters })) {
      if (list === undefined || list.length === offsets.length) continue;
      throw new BpfError("linux/invalid", `${list.length} ${what} for ${offsets.length} places`, {
        errno: "EINVAL",
        subject: program.name,
        hint: "one for each place, in the same order",
      });
    }
    return attachUprobes(context, program, {
      kind: "uprobe-multi",
      target: `${offsets.length} places in ${path}${retprobe ? ", at the return" : ""}`,
      path,
      offsets,
      cookies,
      refCounters,
      pid,
      retprobe,
      session: target.session ?? program.attachType === "BPF_TRACE_UPROBE_SESSION",
    });
  },

  fromSection(program) {
    const found = probeSection(program, FORM);
    return (
      found && {
        binary: found.binary,
        pattern: found.place,
        retprobe: /^uretprobe/.test(found.probe),
        session: /^uprobe\.session/.test(found.probe),
      }
    );
  },
};

/** Places in one file, all worked out. */
export interface UprobePlaces {
  readonly kind: AttachKind;
  /** For people. */
  readonly target: string;
  readonly path: string;
  readonly offsets: readonly (number | bigint)[];
  readonly cookies: readonly (number | bigint)[] | undefined;
  readonly refCounters: readonly (number | bigint)[] | undefined;
  readonly pid: number | undefined;
  readonly retprobe?: boolean;
  readonly session?: boolean;
}

/** One link for all places (Linux 6.6). @throws BpfError `linux/…`. */
export function attachUprobes(context: LinuxContext, program: LinuxProgram, places: UprobePlaces): BpfLink {
  const { kind, target, path, offsets, cookies, refCounters, pid, retprobe, session } = places;
  return createLink(
    context,
    program,
    { kind, target, attachType: session ? "BPF_TRACE_UPROBE_SESSION" : "BPF_TRACE_UPROBE_MULTI" },
    {
      uprobePath: cString(path),
      uprobeOffsets: u64s(offsets),
      uprobeRefCtrOffsets: refCounters && u64s(refCounters),
      uprobeCookies: cookies && u64s(cookies),
      uprobeCount: offsets.length,
      uprobeFlags: retprobe ? UAPI.BPF_F_UPROBE_MULTI_RETURN : 0,
      uprobePid: pid,
    },
  );
}

/** @throws BpfError `linux/not-found` when a pattern fits no function. */
function offsetsOf(
  context: LinuxContext,
  path: string,
  { functions, pattern = "" }: AttachTargets["uprobe-multi"],
): number[] {
  const binary = openBinary(path, context.sys.libc.arch);
  if (functions !== undefined) return functions.map((name) => functionOffset(binary, name));
  const fits = globPattern(pattern);
  if (fits === undefined) return [functionOffset(binary, pattern)];
  const offsets = offsetsLike(binary, (name) => fits.test(name));
  if (offsets.length > 0) return offsets;
  throw new BpfError("linux/not-found", `no function of ${path} fits '${pattern}'`, {
    errno: "ENOENT",
    subject: path,
    hint: `\`nm -D ${path}\` lists the functions of a library`,
  });
}
