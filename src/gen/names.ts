/** Type names that generated modules import or that mean something in every module. */
const TAKEN: readonly string[] = [
  "Array",
  "ArrayBuffer",
  "Date",
  "Error",
  "Map",
  "Number",
  "Object",
  "Promise",
  "Record",
  "Set",
  "String",
  "Symbol",
  "Uint8Array",
  "CharArray",
  "Collection",
  "Events",
  "Globals",
  "Kernel",
  "LinuxCollection",
  "LinuxKernel",
  "Loaded",
  "LoadSettings",
  "Maps",
  "ProgramName",
  "Shape",
  "SlotObject",
  "TypedCollection",
  "TypedEvents",
  "TypedLoadOptions",
  "TypedMap",
];

/** Hands out names of types, each once. */
export class TypeNames {
  private readonly used = new Set(TAKEN);

  /** `drop_event` → `DropEvent`; `DropEvent2` when that is taken. */
  give(cName: string): string {
    const base = pascalCase(cName);
    let name = base;
    for (let n = 2; this.used.has(name); n++) name = `${base}${/\d$/.test(base) ? "_" : ""}${n}`;
    this.used.add(name);
    return name;
  }
}

/** `drop_event` → `DropEvent`; anything that is no letter or digit ends a word. */
export function pascalCase(text: string): string {
  const words = text.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const joined = words.map((word) => word[0].toUpperCase() + word.slice(1)).join("");
  return /^[A-Za-z]/.test(joined) ? joined : `T${joined}`;
}

/** The key of a property: quoted where it is no identifier. */
export function propertyKey(name: string): string {
  if (name === "__proto__") return '["__proto__"]';
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

/** Text that is safe inside a block comment. */
export function commentText(text: string): string {
  return text.replaceAll("*/", "* /").replaceAll(/[\r\n]+/g, " ");
}
