import { mapTypeRow } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import { BtfIndex, trySizeOf } from "../btf/index.ts";
import type { CollectionSpec, MapSpec } from "../object/index.ts";
import { commentText, pascalCase, propertyKey } from "./names.ts";
import { TypeWriter } from "./ts-types.ts";

/** What {@link generateModule} is to write. */
export interface ModuleOptions {
  /** Name of the object, for comments and types: `"guard"`. */
  readonly name: string;
  /** The object file, to be part of the module; undefined: the caller of `load` gives it. */
  readonly object: Uint8Array | undefined;
  /** Type of the records of maps of events. */
  readonly events?: Readonly<Record<string, string>>;
  /** What the module imports; default `"skep"`. */
  readonly library?: string;
}

/**
 * A TypeScript module for an object: types of its maps, events, globals and programs, and `load`, which gives them all by
 * name on either kernel. The same object gives the same text.
 * @throws BpfError `gen/no-such-map`, `gen/no-such-type` for {@link ModuleOptions.events}.
 */
export function generateModule(spec: CollectionSpec, options: ModuleOptions): string {
  const { name, object, library = "skep" } = options;
  const types = new TypeWriter(spec.btf);
  const own = pascalCase(name);
  const maps = spec.maps.filter((map) => isDeclared(map) && !isEvents(map));
  const eventMaps = spec.maps.filter((map) => isDeclared(map) && isEvents(map));
  const eventTypes = checkEvents(spec, eventMaps, options.events ?? {});
  const imports = new Set<string>();

  const mapRows = maps.map((map) => {
    imports.add("TypedMap");
    const type = mapType(types, map, imports);
    return member(map.name, type, mapNote(map));
  });
  const eventRows = eventMaps.map((map) => {
    imports.add("TypedEvents");
    const id = eventTypes[map.name];
    const data = id === undefined ? "Uint8Array" : types.of(id, trySizeOf(spec.btf!, id) ?? 0);
    const note =
      id === undefined ? `${mapNote(map)}; name the type of its records with --event` : mapNote(map);
    return member(map.name, `TypedEvents<${data}>`, note);
  });
  const globalRows = spec.maps
    .filter(({ data, section, type }) => data && section !== ".kconfig" && type === "BPF_MAP_TYPE_ARRAY")
    .flatMap((map) =>
      map.variables.map(({ name, type, size }) =>
        member(name, types.of(type, size), commentText(map.name), !map.frozen),
      ),
    );
  const programRows = spec.programs.map(({ name }) => JSON.stringify(name));
  for (const used of types.imports) imports.add(used);

  const loaded = `Loaded${own}`;
  const shape = [
    "export interface Shape {",
    "  readonly programs: ProgramName;",
    "  readonly maps: Maps;",
    "  readonly events: Events;",
    "  readonly globals: Globals;",
    "}",
  ].join("\n");
  const given = options.events ?? {};
  const eventArgument =
    eventMaps.length === 0 || Object.keys(given).length === 0
      ? ""
      : `, { ${Object.entries(given)
          .map(([map, type]) => `${propertyKey(map)}: ${JSON.stringify(type)}`)
          .join(", ")} }`;
  const parts = [
    `// Written by \`skep gen\` from ${commentText(name)}: do not edit, generate it again.`,
    importLines(imports, library),
    ...types.declarations,
    `/** Programs of ${commentText(name)}. */\nexport type ProgramName = ${programRows.join(" | ") || "never"};`,
    interfaceText("Maps", "Maps with data.", mapRows),
    interfaceText("Events", "Ring buffers and perf event arrays.", eventRows),
    interfaceText(
      "Globals",
      "Global variables; those that are `readonly` are set when it is loaded.",
      globalRows,
    ),
    `/** All of it, for \`loadTyped\`. */\n${shape}`,
    `/** ${commentText(name)} in a kernel. */\nexport type ${loaded}<In extends Collection = Collection> = TypedCollection<Shape, In>;`,
    loadText(loaded, object !== undefined, eventArgument),
  ];
  if (object !== undefined) {
    parts.push(
      `/** The object file. */\nexport function objectBytes(): Uint8Array {\n  return Uint8Array.from(atob(OBJECT), (char) => char.charCodeAt(0));\n}`,
      `const OBJECT =\n${base64Lines(object)};`,
    );
  }
  return `${parts.join("\n\n")}\n`;
}

function isDeclared({ section }: MapSpec): boolean {
  return section === ".maps" || section === "maps";
}

function isEvents({ type }: MapSpec): boolean {
  return type === "BPF_MAP_TYPE_RINGBUF" || type === "BPF_MAP_TYPE_PERF_EVENT_ARRAY";
}

/** BTF ids by map. */
function checkEvents(
  spec: CollectionSpec,
  maps: readonly MapSpec[],
  events: Readonly<Record<string, string>>,
): Readonly<Record<string, number>> {
  const index = spec.btf && new BtfIndex(spec.btf);
  const ids: Record<string, number> = {};
  for (const [map, type] of Object.entries(events)) {
    if (!maps.some(({ name }) => name === map)) {
      throw new BpfError("gen/no-such-map", `'${map}' is no ring buffer or perf event array of the object`, {
        subject: map,
        hint: `it has: ${maps.map(({ name }) => name).join(", ") || "none"}`,
      });
    }
    const id = index?.find(type.replace(/^(struct|union|enum)\s+/, ""));
    if (id === undefined) {
      throw new BpfError("gen/no-such-type", `the object has no type '${type}'`, {
        subject: type,
        hint: "skep btf dump OBJECT --format c lists its types; clang keeps those that a global variable or a map mentions",
      });
    }
    ids[map] = id;
  }
  return ids;
}

function mapType(types: TypeWriter, map: MapSpec, imports: Set<string>): string {
  const { keySize, holds, perCpu } = mapTypeRow(map.type);
  const index = keySize === 4 && map.keyType === 0 && map.keySize === 4;
  const key = map.keySize === 0 ? "undefined" : index ? "number" : types.of(map.keyType, map.keySize);
  if (holds === "map" || holds === "program") {
    imports.add("SlotObject");
    return `TypedMap<${key}, number, SlotObject>`;
  }
  const value = types.of(map.valueType, map.valueSize);
  if (!perCpu) return `TypedMap<${key}, ${value}>`;
  return `TypedMap<${key}, readonly ${/[ |]/.test(value) ? `(${value})` : value}[]>`;
}

function mapNote({ type, maxEntries }: MapSpec): string {
  const kind = type.replace("BPF_MAP_TYPE_", "").toLowerCase();
  return maxEntries === 0 ? kind : `${kind}, max_entries ${maxEntries}`;
}

function member(name: string, type: string, note: string, writable = false): string {
  return `  /** ${note} */\n  ${writable ? "" : "readonly "}${propertyKey(name)}: ${type};`;
}

function interfaceText(name: string, summary: string, rows: readonly string[]): string {
  const body = rows.length === 0 ? "{}" : `{\n${rows.join("\n")}\n}`;
  return rows.length === 0
    ? `/** ${summary} There are none. */\nexport type ${name} = Record<never, never>;`
    : `/** ${summary} */\nexport interface ${name} ${body}`;
}

function importLines(used: ReadonlySet<string>, library: string): string {
  const types = [
    ...used,
    "Collection",
    "Kernel",
    "LinuxCollection",
    "LinuxKernel",
    "TypedCollection",
    "TypedLoadOptions",
  ].map((name) => ({ name, text: `type ${name}` }));
  const values = ["loadTyped", "readObject"].map((name) => ({ name, text: name }));
  const sorted = [...types, ...values].sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
  const rows = sorted.map(({ text }) => `  ${text},`).join("\n");
  return `import {\n${rows}\n} from ${JSON.stringify(library)};`;
}

function loadText(loaded: string, embedded: boolean, events: string): string {
  const object = embedded ? "" : "object: Uint8Array, ";
  const bytes = embedded ? "objectBytes()" : "object";
  const note = embedded ? "" : " `object`: the bytes of the object file.";
  return [
    `/** Loads the programs and maps; closing what it gives unloads them.${note} */`,
    `export function load(kernel: LinuxKernel, ${object}options?: TypedLoadOptions<Shape>): Promise<${loaded}<LinuxCollection>>;`,
    `export function load(kernel: Kernel, ${object}options?: TypedLoadOptions<Shape>): Promise<${loaded}>;`,
    `export function load(kernel: Kernel, ${object}options?: TypedLoadOptions<Shape>): Promise<${loaded}> {`,
    `  return loadTyped<Shape>(kernel, readObject(${bytes}), options${events});`,
    "}",
  ].join("\n");
}

/** Base64 in lines that diffs and editors can live with. */
function base64Lines(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const lines = btoa(binary).match(/.{1,100}/g) ?? [""];
  return lines.map((line) => `  "${line}"`).join(" +\n");
}
