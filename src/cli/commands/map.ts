import { BpfError } from "../../base/index.ts";
import type { BtfValue } from "../../btf/index.ts";
import { openKernel } from "../../kernel/index.ts";
import type { LinuxMapPort } from "../../object/index.ts";
import { type Command, readOptions, UsageError } from "../command.ts";
import { toJson } from "../format/json.ts";
import type { Io } from "../io.ts";
import { takeReference } from "../linux/reference.ts";
import { isZero, readableCodecs, readEntries, readValue, writeValue } from "../run/map-values.ts";
import { formatMapEntries } from "../run/report.ts";

interface ActionOptions {
  readonly json: boolean;
  readonly all: boolean;
  readonly flag: "any" | "noexist" | "exist";
}

interface Action {
  /** Operands after the map, for errors. */
  readonly operands: readonly string[];
  readonly run: (io: Io, map: LinuxMapPort, operands: readonly string[], options: ActionOptions) => number;
}

const get: Action = {
  operands: ["KEY"],
  run(io, map, [key], { json }) {
    const codecs = readableCodecs(map);
    const at = codecs.key.encode(parseOperand(key));
    const bytes = map.lookup(at);
    if (bytes === undefined) throw noKey(map, key);
    const entry = { key: codecs.key.decode(at), value: readValue(codecs, bytes) };
    io.out(json ? toJson(entry) : formatMapEntries([entry], io, { all: true, perCpu: codecs.perCpu }));
    return 0;
  },
};

const set: Action = {
  operands: ["KEY", "VALUE"],
  run(_io, map, [key, value], { flag }) {
    const codecs = readableCodecs(map);
    map.update(codecs.key.encode(parseOperand(key)), writeValue(map, codecs, parseOperand(value)), flag);
    return 0;
  },
};

const remove: Action = {
  operands: ["KEY"],
  run(_io, map, [key]) {
    if (map.delete(readableCodecs(map).key.encode(parseOperand(key)))) return 0;
    throw noKey(map, key);
  },
};

const dump: Action = {
  operands: [],
  run(io, map, _operands, { json, all }) {
    const entries = [...readEntries(map)];
    if (json) {
      io.out(toJson(entries));
      return 0;
    }
    // Arrays are full of zeros that say nothing.
    const shown =
      all || !map.type.includes("ARRAY") ? entries : entries.filter(({ value }) => !isZero(value));
    const table = formatMapEntries(shown, io, { all, perCpu: readableCodecs(map).perCpu });
    if (table !== "") io.out(table);
    else if (entries.length === 0) io.err(`map '${map.name}' is empty`);
    else io.err(`map '${map.name}': nothing but zeros; --all shows them`);
    return 0;
  },
};

/** Ours, and bpftool's words for them. */
const ACTIONS: Readonly<Record<string, Action>> = {
  dump,
  get,
  lookup: get,
  set,
  update: set,
  delete: remove,
};

export const map: Command = {
  name: "map",
  summary: "Read and change a map in the running kernel: dump, get, set, delete",
  arguments: [
    { name: "action", summary: "dump, get, set or delete" },
    {
      name: "map",
      summary: "NAME, ID or PATH of the map (or: id ID, name NAME, pinned PATH), KEY and VALUE",
      many: true,
    },
  ],
  options: [
    {
      flags: "--flag <flag>",
      summary: "with set: whether the key may exist",
      choices: ["any", "noexist", "exist"],
      default: "any",
    },
    { flags: "--all", summary: "also show what is all zero" },
    { flags: "--json", summary: "print one JSON value" },
  ],
  examples: [
    "sudo skep map dump counts",
    "sudo skep map get /sys/fs/bpf/counts 6",
    `sudo skep map set id 17 '{"prefixlen": 8, "addr": [10, 0, 0, 0]}' 1`,
  ],

  async run(io, [name, ...args], values) {
    if (!Object.hasOwn(ACTIONS, name)) {
      throw new UsageError(`map cannot '${name}'`, `it can: ${Object.keys(ACTIONS).join(", ")}`);
    }
    const action = ACTIONS[name];
    const { reference, rest } = takeReference(args);
    if (rest.length !== action.operands.length) {
      throw new UsageError(
        `map ${name} takes ${action.operands.join(" and ") || "nothing"} after the map`,
        `skep map ${[name, "MAP", ...action.operands].join(" ")}`,
      );
    }
    const options = readOptions(values);
    using kernel = await openKernel("linux");
    using opened = kernel.inspect.openMap(reference);
    return action.run(io, opened, rest, {
      json: options.flag("json"),
      all: options.flag("all"),
      flag: options.text("flag") as ActionOptions["flag"], // commander checks the choices
    });
  },
};

function noKey(map: LinuxMapPort, key: string): BpfError {
  return new BpfError("linux/not-found", `map '${map.name}' has no key ${key}`, {
    errno: "ENOENT",
    subject: map.name,
  });
}

/** JSON for structs and arrays; a number, enumerator, text or hex as it stands. */
function parseOperand(text: string): BtfValue {
  if (text === "true" || text === "false") return text === "true";
  if (!/^[[{"]/.test(text)) return text;
  try {
    return JSON.parse(text) as BtfValue; // null is refused by the codec
  } catch (error) {
    throw new UsageError(`'${text}' is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
