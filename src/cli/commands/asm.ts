import { HELPERS, type HelperName } from "../../abi/index.ts";
import { toHex } from "../../base/index.ts";
import { assemble } from "../../isa/index.ts";
import { type Command, readOptions } from "../command.ts";
import { formatError } from "../format/error.ts";
import { toJson } from "../format/json.ts";

export const asm: Command = {
  name: "asm",
  summary: "Assemble instructions in LLVM's BPF syntax",
  arguments: [{ name: "file", summary: "assembly text; - reads standard input" }],
  options: [
    { flags: "-o, --output <file>", summary: "write the bytes there instead of printing them as hex" },
    { flags: "--json", summary: "print one JSON value" },
  ],
  examples: ["skep asm prog.s -o prog.bin", "echo 'r0 = 1; exit' | tr ';' '\\n' | skep asm - | skep exec"],

  async run(io, [path], values) {
    const options = readOptions(values);
    const text = new TextDecoder().decode(await io.readFile(path));
    const { bytes, diagnostics } = assemble(text, {
      file: path,
      symbol: (name, use) => {
        const helper = HELPERS[name.replace(/^bpf_/, "") as HelperName]; // undefined for names that are none
        return use === "call" && helper !== undefined ? { src: 0, imm: helper.id } : undefined;
      },
    });
    const output = options.text("output");
    if (options.flag("json")) io.out(toJson({ bytes, diagnostics }));
    for (const diagnostic of diagnostics) io.err(formatError(diagnostic, io));
    if (diagnostics.length > 0) return 1;
    if (output !== undefined) await io.writeFile(output, bytes);
    else if (!options.flag("json")) io.out(toHex(bytes).replace(/.{16}(?!$)/g, "$& "));
    return 0;
  },
};
