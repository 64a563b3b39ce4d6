import { BpfError } from "../../base/index.ts";
import type { HookPosition } from "../../object/index.ts";
import { LinuxProgram } from "../program.ts";
import type { BpfInput } from "../sys/index.ts";
import { BpfLink } from "./link.ts";

/** BPF_F_* of BPF_LINK_CREATE for hooks that keep a list of programs: include/uapi/linux/bpf.h @ v6.17. */
const BEFORE = 1 << 3;
const AFTER = 1 << 4;
const BY_ID = 1 << 5;
const IS_LINK = 1 << 13;

/**
 * The fields of BPF_LINK_CREATE that say where in the list of programs a new one goes; all absent when nothing was said.
 * @throws BpfError `linux/invalid`.
 */
export function positionFields(position: HookPosition): BpfInput<"BPF_LINK_CREATE"> {
  const { before, after, expectedRevision } = position;
  if (before !== undefined && after !== undefined) {
    throw new BpfError("linux/invalid", "a program goes before or after another one, not both", {
      errno: "EINVAL",
      hint: "leave out `before` or `after`",
    });
  }
  const neighbour = before ?? after;
  const side = before !== undefined ? BEFORE : after !== undefined ? AFTER : 0;
  const { flags, relative } = neighbourFields(neighbour);
  return { flags: side | flags, relative, expectedRevision };
}

function neighbourFields(neighbour: HookPosition["before"]): Pick<BpfInput<"BPF_LINK_CREATE">, "relative"> & {
  readonly flags: number;
} {
  if (neighbour === undefined || neighbour === "all") return { flags: 0 };
  if (typeof neighbour === "number") return { flags: BY_ID, relative: neighbour };
  if (neighbour instanceof BpfLink) return { flags: IS_LINK, relative: neighbour.handle };
  if (neighbour instanceof LinuxProgram) return { flags: 0, relative: neighbour.handle };
  throw new BpfError("linux/invalid", "the neighbour is no program or bpf link of this kernel", {
    errno: "EINVAL",
    hint: "give a Link that attach() returned (not a legacy one), a loaded program, or a program's id",
  });
}
