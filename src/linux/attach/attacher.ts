import { ATTACH_TYPE_SINCE, ATTACH_TYPES, type AttachTypeName } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { AttachKind, AttachTargets, Link, ProgramSpec } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import type { BpfInput } from "../sys/index.ts";
import { orTooOld } from "../too-old.ts";
import { BpfLink } from "./link.ts";

/** How to attach programs to one kind of target. A file of this folder exports one. */
export interface Attacher<Kind extends AttachKind> {
  /** Attaches. @throws BpfError `linux/…`, with nothing left attached. */
  attach(context: LinuxContext, program: LinuxProgram, target: AttachTargets[Kind]): Link;
  /**
   * What the section name says about the target, as libbpf reads it; undefined when it names none (the user has to say
   * where). Left out: section names never do. @throws BpfError `linux/bad-section` for a target that cannot be.
   */
  fromSection?(program: ProgramSpec): AttachTargets[Kind] | undefined;
}

/**
 * BPF_LINK_CREATE, and the link around it. `attachType` is the number to pass; default the program's own.
 * @throws BpfError `linux/unsupported` with the version that has it where the kernel is older, `linux/…`.
 */
export function createLink(
  context: LinuxContext,
  program: LinuxProgram,
  where: { readonly kind: AttachKind; readonly target: string; readonly attachType?: AttachTypeName },
  input: BpfInput<"BPF_LINK_CREATE">,
): BpfLink {
  const { kind, target, attachType = program.attachType } = where;
  const doing = `attaching '${program.name}' to ${target}`;
  const subject = program.name;
  try {
    const fd = context.sys.bpfFd(
      "BPF_LINK_CREATE",
      { progFd: program.handle, attachType: attachType && ATTACH_TYPES[attachType], ...input },
      { doing, what: `link of '${program.name}'`, needs: program.needs, subject },
    );
    return new BpfLink(context, { kind, program: program.name, target }, fd);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw orTooOld(context.facts, error, doing, [attachType && ATTACH_TYPE_SINCE[attachType]]);
  }
}
