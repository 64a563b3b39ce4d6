import { buildStandalone, declarationsOf, wrapperOf } from "../../aot/index.ts";
import { verifierGate } from "../../kernel/index.ts";
import { readObject } from "../../object/index.ts";
import { readBtfFile } from "../btf-file.ts";
import { type Command, readOptions, UsageError } from "../command.ts";
import { toJson } from "../format/json.ts";
import { parseAssignment } from "../run/globals.ts";

const WASM = ".wasm";

export const build: Command = {
  name: "build",
  summary: "Compile an object file to a WebAssembly module that runs without Skep",
  arguments: [{ name: "object", summary: "BPF object file (clang -target bpf)" }],
  options: [
    {
      flags: "-o, --output <file>",
      summary: "the module, NAME.wasm; NAME.js and NAME.d.ts are written beside it",
    },
    { flags: "--prog <name>", summary: "only this program", repeatable: true },
    {
      flags: "--set <global=value>",
      summary: "value of a global variable or of a kconfig option",
      repeatable: true,
    },
    {
      flags: "--btf <file>",
      summary: "kernel types for CO-RE: a BTF file or an object; default: the object's own",
    },
    { flags: "--metered", summary: "count instructions and stop a run at a budget that the host sets" },
    { flags: "--unverified", summary: "do not ask the verifier; such programs are always metered" },
    { flags: "--no-wrapper", summary: "write the module only" },
    { flags: "--json", summary: "print what is in the module as one JSON value" },
  ],
  examples: ["skep build guard.bpf.o", "skep build guard.bpf.o -o dist/guard.wasm --prog guard"],

  async run(io, [path], values) {
    const options = readOptions(values);
    const output = options.text("output") ?? path.replace(/(\.bpf)?\.o$/, "") + WASM;
    if (!output.endsWith(WASM)) throw new UsageError(`'${output}' does not end in ${WASM}`);
    const btfPath = options.text("btf");
    const targetBtf = btfPath === undefined ? undefined : await readBtfFile(io, btfPath);
    const programs = options.list("prog");
    const base = output.slice(0, -WASM.length);
    const name = base.slice(base.lastIndexOf("/") + 1);
    const { wasm, description } = await buildStandalone(readObject(await io.readFile(path)), {
      name,
      gate: options.flag("unverified")
        ? "unverified"
        : verifierGate({ ...(targetBtf && { kernelBtf: targetBtf }) }),
      ...(options.flag("metered") && { metered: true }),
      load: {
        ...(programs.length > 0 && { programs }),
        ...(targetBtf && { targetBtf }),
        globals: Object.fromEntries(options.list("set").map(parseAssignment)),
      },
    });
    const text = new TextEncoder();
    await io.writeFile(output, wasm);
    if (values.wrapper !== false) {
      await io.writeFile(`${base}.js`, text.encode(wrapperOf(description, `./${name}${WASM}`)));
      await io.writeFile(`${base}.d.ts`, text.encode(declarationsOf(description)));
    }
    if (options.flag("json")) {
      const { types, ...shown } = description;
      io.out(toJson({ output, bytes: wasm.length, ...shown }));
      return 0;
    }
    io.out(`${output}: ${(wasm.length / 1024).toFixed(1)} KiB`);
    for (const program of description.programs)
      io.out(`  ${program.run ?? program.raw}  ${program.section || program.type}`);
    for (const map of description.maps) io.out(`  ${map.global}  ${map.type}`);
    if (description.imports.length > 0)
      io.out(`  needs ${description.imports.map((row) => `env.${row.name}`).join(", ")}`);
    return 0;
  },
};
