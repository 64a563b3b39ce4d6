import { fromHex } from "../../base/index.ts";
import { ENGINES, type EngineName, execBytecode } from "../../runtime/index.ts";
import { type Command, positiveNumber, readOptions, UsageError } from "../command.ts";
import { toJson } from "../format/json.ts";
import { codeOnStdin } from "../hex-input.ts";
import { nodeHost } from "../node-host.ts";

export const exec: Command = {
  name: "exec",
  summary: "Run bare instructions, given as hex on standard input, and print r0 as hex",
  arguments: [
    { name: "memory", summary: "bytes in hex: r1 points to them, r2 is their number", optional: true },
  ],
  options: [
    {
      flags: "--engine <engine>",
      summary: "how the program is executed",
      choices: ENGINES,
      default: "interpreter",
    },
    { flags: "--max-insns <n>", summary: "stop after this many instructions", parse: positiveNumber },
    { flags: "--program <hex>", summary: "the instructions, instead of standard input" },
    { flags: "--json", summary: "print one JSON value" },
  ],
  examples: ["echo b700000001000000 9500000000000000 | skep exec", "skep asm prog.s | skep exec 0a0b0c0d"],

  async run(io, [memory], values) {
    const options = readOptions(values);
    const program = options.text("program");
    const code = program === undefined ? await codeOnStdin(io) : fromHex(program);
    if (code.length % 8 !== 0) throw new UsageError("the program is no whole number of 8-byte instructions");
    const bytes = memory === undefined ? undefined : fromHex(memory);
    const result = await execBytecode(code, bytes, {
      host: nodeHost((line) => io.err(line)),
      maxInsns: options.number("maxInsns"),
      engine: options.text("engine") as EngineName, // commander checks the choices
    });
    io.out(options.flag("json") ? toJson(result) : result.r0.toString(16));
    return 0;
  },
};
