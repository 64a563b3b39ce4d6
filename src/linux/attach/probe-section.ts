import { BpfError } from "../../base/index.ts";
import type { ProgramSpec } from "../../object/index.ts";

/** `uprobe/BINARY:REST` taken apart. */
export interface ProbeSection {
  /** Before the first slash: `"uretprobe.s"`. */
  readonly probe: string;
  readonly binary: string;
  /** Behind the colon. */
  readonly place: string;
}

/**
 * A section name of a probe in user space; undefined when it names no place.
 * @throws BpfError `linux/bad-section` when it is not `PROBE/BINARY:PLACE`; `form` says how it should be.
 */
export function probeSection(
  { name, section, attachTo }: ProgramSpec,
  form: string,
): ProbeSection | undefined {
  if (attachTo === undefined) return undefined;
  const match = /^([^:]+):([^\n]+)$/.exec(attachTo);
  if (match === null) throw badSection(name, section, form);
  return { probe: section.split("/", 1)[0], binary: match[1], place: match[2] };
}

/** The error of a section name that says where to attach, but not so that it can be understood. */
export function badSection(program: string, section: string, form: string): BpfError {
  return new BpfError("linux/bad-section", `section '${section}' names no place to probe`, {
    errno: "EINVAL",
    subject: program,
    hint: form,
  });
}

/** A number as C writes it: decimal, `0x…`, or octal with a leading 0; undefined when it is none. */
export function cInteger(text: string): number | undefined {
  if (/^0x[0-9a-f]+$/i.test(text)) return Number.parseInt(text, 16);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9]\d*$/.test(text) ? Number.parseInt(text, 10) : undefined;
}
