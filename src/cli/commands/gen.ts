import { generateModule } from "../../gen/index.ts";
import { readObject } from "../../object/index.ts";
import { type Command, readOptions } from "../command.ts";
import { splitEvent } from "../run/globals.ts";

export const gen: Command = {
  name: "gen",
  summary: "Write a TypeScript module with the types of an object's maps, events and globals",
  arguments: [{ name: "object", summary: "BPF object file" }],
  options: [
    { flags: "-o, --output <file>", summary: "write it to a file instead of standard output" },
    {
      flags: "--event <map=type>",
      summary: "type of the records of a ring buffer or perf event array",
      repeatable: true,
    },
    { flags: "--no-embed", summary: "leave the object out: load() takes its bytes" },
    { flags: "--name <name>", summary: "name of the module's types; default: the file's" },
    { flags: "--library <module>", summary: "where the module imports from", default: "skep" },
  ],
  examples: [
    "skep gen guard.bpf.o --event drops=drop_event -o guard.ts",
    "skep gen guard.bpf.o --no-embed | head -40",
  ],

  async run(io, [path], values) {
    const options = readOptions(values);
    const bytes = await io.readFile(path);
    const text = generateModule(readObject(bytes), {
      name: options.text("name") ?? moduleName(path),
      object: values.embed === false ? undefined : bytes,
      events: Object.fromEntries(options.list("event").map(splitEvent)),
      library: options.text("library") ?? "skep",
    });
    const output = options.text("output");
    if (output === undefined) io.out(text.trimEnd());
    else await io.writeFile(output, new TextEncoder().encode(text));
    return 0;
  },
};

/** `build/guard.bpf.o` → `guard`. */
function moduleName(path: string): string {
  return path.replace(/^.*\//, "").replace(/(\.bpf)?\.o$/, "") || "object";
}
