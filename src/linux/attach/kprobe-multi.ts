import { UAPI } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { AttachTargets } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { type BpfInput, cString } from "../sys/index.ts";
import { traceableFunctions } from "../tracefs.ts";
import { type Attacher, createLink } from "./attacher.ts";
import { globPattern } from "./glob.ts";
import { u64s } from "./u64s.ts";

/** Many kernel functions by one link (Linux 5.18; sessions 6.10). */
export const kprobeMulti: Attacher<"kprobe-multi"> = {
  attach(context, program, target) {
    const {
      retprobe = /^kretprobe/.test(program.spec.section),
      session = program.attachType === "BPF_TRACE_KPROBE_SESSION",
      cookies,
    } = target;
    // The kernel takes an array of pointers to names: the names must stay where they are until it has read them.
    const names =
      target.addresses === undefined ? functionsOf(context, target, program.name).map(cString) : [];
    const places = target.addresses ?? names;
    if (cookies !== undefined && cookies.length !== places.length) {
      throw new BpfError("linux/invalid", `${cookies.length} cookies for ${places.length} functions`, {
        errno: "EINVAL",
        subject: program.name,
        hint: "one cookie for each function, in the same order",
      });
    }
    const where: BpfInput<"BPF_LINK_CREATE"> =
      target.addresses === undefined
        ? { kprobeSyms: u64s(names.map((name) => context.sys.libc.addressOf(name))) }
        : { kprobeAddrs: u64s(target.addresses) };
    return createLink(
      context,
      program,
      {
        kind: "kprobe-multi",
        target: `${places.length} kernel functions${retprobe ? " at their return" : ""}`,
        attachType: session ? "BPF_TRACE_KPROBE_SESSION" : "BPF_TRACE_KPROBE_MULTI",
      },
      {
        ...where,
        kprobeFlags: retprobe ? UAPI.BPF_F_KPROBE_MULTI_RETURN : 0,
        kprobeCount: places.length,
        kprobeCookies: cookies && u64s(cookies),
      },
    );
  },

  fromSection({ attachTo, section }) {
    if (attachTo === undefined) return undefined;
    return {
      pattern: attachTo,
      retprobe: /^kretprobe/.test(section),
      session: /^kprobe\.session/.test(section),
    };
  },
};

/** @throws BpfError `linux/not-found` when a pattern fits no function that can be probed. */
function functionsOf(
  context: LinuxContext,
  { functions, pattern }: AttachTargets["kprobe-multi"],
  program: string,
): readonly string[] {
  if (functions !== undefined) return functions;
  const fits = globPattern(pattern ?? "");
  // Without a pattern character the kernel itself looks the function up.
  if (pattern !== undefined && fits === undefined) return [pattern];
  const found = fits === undefined ? [] : traceableFunctions(context.sys).filter((name) => fits.test(name));
  if (found.length > 0) return found;
  throw new BpfError("linux/not-found", `no kernel function fits '${pattern ?? ""}'`, {
    errno: "ENOENT",
    subject: program,
    hint: "/sys/kernel/tracing/available_filter_functions lists them",
  });
}
