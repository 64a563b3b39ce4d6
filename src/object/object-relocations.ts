import { SHN } from "../elf/index.ts";
import { functionAt } from "./functions.ts";
import { linkRaw } from "./link-objects.ts";
import { isCode, takeApart } from "./raw-object.ts";
import { partsOf, type ReadObjectOptions } from "./read-object.ts";
import { codeTargets } from "./relocations.ts";

/** What a relocation of the object file is about. */
export type ObjectRelocationKind =
  | "map"
  | "map-value"
  | "kconfig"
  | "kfunc"
  | "ksym"
  | "call"
  | "func"
  /** In `.maps`: an initial value of a map-in-map or program array. */
  | "map-slot"
  /** In `.struct_ops*`: a function pointer. */
  | "struct-ops";

/** One relocation as the object file has it: each once, also those of subprograms that many programs share. */
export interface ObjectRelocation {
  readonly section: string;
  /** Slot in the section; for data sections the byte offset. */
  readonly offset: number;
  readonly kind: ObjectRelocationKind;
  /** Map, extern or function. */
  readonly name: string;
}

/**
 * The relocations of an object file, or of several linked into one, for `inspect`: by section and offset.
 * @throws BpfError as readObject and linkObjects.
 */
export function objectRelocations(
  objects: Uint8Array | readonly Uint8Array[],
  options: ReadObjectOptions = {},
): ObjectRelocation[] {
  const object = objects instanceof Uint8Array ? takeApart(objects) : linkRaw(objects.map(takeApart));
  const { targets } = partsOf(object, options);
  const out: ObjectRelocation[] = [];
  for (const section of object.sections) {
    if (isCode(section)) {
      const rows = [...codeTargets(targets, section, { replaced: true })].sort((a, b) => a[0] - b[0]);
      for (const [offset, target] of rows) {
        const base = { section: section.name, offset };
        switch (target.kind) {
          case "extern":
            out.push({ ...base, kind: target.extern.spec.kind, name: target.extern.spec.name });
            break;
          case "call":
          case "func":
            out.push({ ...base, kind: target.kind, name: target.callee.name });
            break;
          default:
            out.push({ ...base, kind: target.kind, name: target.map });
        }
      }
      continue;
    }
    const kind =
      section.index === targets.mapsSection
        ? "map-slot"
        : /^\??\.struct_ops/.test(section.name)
          ? "struct-ops"
          : undefined;
    if (kind === undefined) continue;
    for (const { offset, symbol } of section.relocations) {
      const { name, section: home, value } = object.symbols[symbol];
      const owner = home === SHN.UNDEF ? undefined : functionAt(targets.functions, home, value / 8);
      out.push({ section: section.name, offset, kind, name: owner?.name ?? name });
    }
  }
  return out;
}
