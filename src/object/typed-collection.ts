import { BpfError } from "../base/index.ts";
import type { Link } from "./attach.ts";
import type { BpfMap, Collection, EventMap, GlobalValue, Kernel, LoadOptions, Program } from "./kernel.ts";
import { bytesCodec, typedCodec } from "./map-codecs.ts";
import type { CollectionSpec, VariableSpec } from "./spec.ts";
import { type TypedEvents, typedEvents } from "./typed-events.ts";
import { type Given, type TypedMap, typedMap } from "./typed-map.ts";

/** What a generated module says of its object. */
export interface CollectionShape {
  /** Names of the programs. */
  readonly programs: string;
  /** Maps with data, by name: {@link TypedMap}s. */
  readonly maps: object;
  /** Ring buffers and perf event arrays, by name: {@link TypedEvents}. */
  readonly events: object;
  /** Global variables, by name; those of `.rodata` are `readonly`. */
  readonly globals: object;
}

/** A loaded collection with all that it has by name and type. */
export interface TypedCollection<Shape extends CollectionShape, Loaded extends Collection = Collection>
  extends Disposable {
  readonly programs: {
    readonly [Name in Shape["programs"]]: NonNullable<ReturnType<Loaded["programs"]["get"]>>;
  };
  readonly maps: Shape["maps"];
  readonly events: Shape["events"];
  /** Read and written where they are: on Linux in the memory that programs use. */
  readonly globals: Shape["globals"];
  /** As the kernel loaded it. */
  readonly collection: Loaded;
  /** @see Collection.attachAll */
  attachAll(): readonly Link[];
}

/** {@link LoadOptions} with the names and types of the object. */
export interface TypedLoadOptions<Shape extends CollectionShape>
  extends Omit<LoadOptions, "globals" | "programs" | "maxEntries"> {
  /** Values before the programs are loaded: the only time for `const volatile` ones. */
  readonly globals?: { readonly [Name in keyof Shape["globals"]]?: Given<Shape["globals"][Name]> };
  readonly programs?: readonly Shape["programs"][];
  readonly maxEntries?: {
    readonly [Name in (keyof Shape["maps"] | keyof Shape["events"]) & string]?: number;
  };
}

/** A kernel whose collections are of type `Loaded`. */
export interface KernelOf<Loaded extends Collection> extends Disposable {
  readonly kind: Kernel["kind"];
  load(spec: CollectionSpec, options?: LoadOptions): Promise<Loaded>;
}

/**
 * Loads an object and gives what it has by name and type. `eventTypes`: the type of the records of each map of events.
 * Modules of `skep gen` call it with a `Shape` that was written from the same object.
 * @throws BpfError as `load`.
 */
export async function loadTyped<Shape extends CollectionShape, Loaded extends Collection = Collection>(
  kernel: KernelOf<Loaded>,
  spec: CollectionSpec,
  options: TypedLoadOptions<Shape> = {},
  eventTypes: Readonly<Record<string, string>> = {},
): Promise<TypedCollection<Shape, Loaded>> {
  // Given values are those of the codecs; sizes without a name are not asked for.
  const loaded = await kernel.load(spec, options as LoadOptions);
  try {
    const maps: Record<string, TypedMap<unknown, unknown>> = {};
    const events: Record<string, TypedEvents<unknown>> = {};
    for (const [name, map] of loaded.maps) {
      if (isEventMap(map)) events[name] = typedEvents(map, eventTypes[name]);
      else if (map.spec.section === ".maps" || map.spec.section === "maps") maps[name] = typedMap(map);
    }
    return {
      programs: programsOf(spec, loaded) as TypedCollection<Shape, Loaded>["programs"],
      maps,
      events,
      globals: globalsOf(loaded),
      collection: loaded,
      attachAll: () => loaded.attachAll(),
      [Symbol.dispose]: () => loaded[Symbol.dispose](),
    };
  } catch (error) {
    loaded[Symbol.dispose]();
    throw error;
  }
}

/** True for maps that carry events: ring buffer, perf event array. */
export function isEventMap(map: BpfMap): map is EventMap {
  return "drain" in map;
}

/** Programs by name; asking for one that was not loaded is an error, not undefined. */
function programsOf(spec: CollectionSpec, { programs }: Collection): object {
  const byName = {};
  for (const { name } of spec.programs) {
    const get = (): Program => {
      const program = programs.get(name);
      if (program !== undefined) return program;
      throw new BpfError("object/not-loaded", `program '${name}' was not loaded`, {
        subject: name,
        hint: "name it in the `programs` of the load options: it was left out there, or its section starts with '?'",
      });
    };
    Object.defineProperty(byName, name, { get, enumerable: programs.has(name) });
  }
  return byName;
}

/** Global variables as properties. */
function globalsOf(loaded: Collection): object {
  const globals = {};
  const live = "globals" in loaded ? (loaded.globals as ReadonlyMap<string, Accessor>) : undefined;
  for (const map of loaded.maps.values()) {
    if (map.spec.data === undefined || map.type !== "BPF_MAP_TYPE_ARRAY") continue;
    if (map.spec.section === ".kconfig") continue;
    for (const variable of map.spec.variables) {
      const there = live?.get(variable.name) ?? accessor(map, variable);
      Object.defineProperty(globals, variable.name, {
        get: () => there.get(),
        set: (value: GlobalValue) => there.set(value),
        enumerable: true,
      });
    }
  }
  return globals;
}

interface Accessor {
  get(): GlobalValue;
  set(value: GlobalValue): void;
}

/** A variable inside the one value of its section's map. */
function accessor(map: BpfMap, variable: VariableSpec): Accessor {
  const { name, offset, size } = variable;
  const codec = typedCodec(map.btf, variable.type, size, bytesCodec);
  const section = (): Uint8Array => map.lookup(INDEX_ZERO) ?? new Uint8Array(map.spec.valueSize);
  return {
    get: () => codec.decode(section().subarray(offset, offset + size)),
    set(value) {
      if (map.spec.frozen) {
        throw new BpfError("object/frozen", `global '${name}' is constant once its program is loaded`, {
          errno: "EPERM",
          subject: name,
          hint: `set it before: load(kernel, { globals: { ${name}: … } })`,
        });
      }
      const bytes = section();
      bytes.set(codec.encode(typeof value === "boolean" ? Number(value) : value), offset);
      map.update(INDEX_ZERO, bytes);
    },
  };
}

const INDEX_ZERO = new Uint8Array(4);
