import pc from "picocolors";
import { HELPERS } from "../../abi/index.ts";
import { decode, disassemble, type SymbolUse } from "../../isa/index.ts";
import { type ProgramSpec, type Reference, readObject } from "../../object/index.ts";
import { type Command, readOptions, UsageError } from "../command.ts";
import { toJson } from "../format/json.ts";
import { codeOnStdin } from "../hex-input.ts";
import type { Io } from "../io.ts";

const HELPER_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(HELPERS).map(([name, row]) => [row.id, name]),
);

interface Line {
  readonly insn: number;
  readonly text: string;
  /** `file:line` and text of the C line that starts here. */
  readonly source?: { readonly file: string; readonly line: number; readonly text: string };
  /** Name of the function that starts here. */
  readonly func?: string;
}

export const disasm: Command = {
  name: "disasm",
  summary: "Print the instructions of an object's programs, with their C lines between",
  arguments: [
    { name: "object", summary: "BPF object file; - reads bare instructions in hex from standard input" },
  ],
  options: [
    { flags: "--prog <name>", summary: "only this program" },
    { flags: "--no-source", summary: "instructions alone" },
    { flags: "--json", summary: "print one JSON value" },
  ],
  examples: ["skep disasm guard.bpf.o", "echo b700000001000000 9500000000000000 | skep disasm -"],

  async run(io, [path], values) {
    const options = readOptions(values);
    if (path === "-") {
      const lines = disassemble(decode(await codeOnStdin(io))).map(({ slot, text }) => ({
        insn: slot,
        text,
      }));
      io.out(options.flag("json") ? toJson(lines) : lines.map((line) => formatLine(line)).join("\n"));
      return 0;
    }
    const spec = readObject(await io.readFile(path));
    const name = options.text("prog");
    const programs = spec.programs.filter((program) => name === undefined || program.name === name);
    if (programs.length === 0) {
      const list = spec.programs.map((program) => program.name).join(", ");
      throw new UsageError(
        name === undefined ? `${path} holds no programs` : `${path} has no program '${name}'`,
        list && `it has: ${list}`,
      );
    }
    const withSource = options.flag("source");
    const listings = programs.map((program) => ({
      program: program.name,
      section: program.section,
      lines: programLines(program, spec.byteOrder, withSource),
    }));
    io.out(
      options.flag("json")
        ? toJson(listings)
        : listings.map((listing) => formatListing(listing, io)).join("\n\n"),
    );
    return 0;
  },
};

function programLines(program: ProgramSpec, byteOrder: "little" | "big", withSource: boolean): Line[] {
  const references = new Map(program.references.map((reference) => [reference.insn, reference]));
  const functions = new Map(program.funcs.map((func) => [func.insn, func.name]));
  const sources = new Map(program.lines.map((line) => [line.insn, line]));
  const symbol = ({ kind, slot, imm }: SymbolUse) => {
    const reference = references.get(slot);
    if (reference !== undefined) return referenceName(reference, functions);
    return kind === "helper" ? HELPER_NAMES.get(imm) : undefined;
  };
  const lines: Line[] = [];
  let shown = "";
  for (const { slot, text } of disassemble(decode(program.insns, byteOrder), {
    label: (at) => functions.get(at),
    symbol,
  })) {
    const func = functions.get(slot);
    const known = withSource ? sources.get(slot) : undefined;
    const place = known === undefined ? shown : `${known.file}:${known.line}`;
    const source = place === shown ? undefined : known;
    shown = place;
    lines.push({
      insn: slot,
      text,
      ...(func !== undefined && { func }),
      ...(source !== undefined && {
        source: { file: source.file, line: source.line, text: source.text.trim() },
      }),
    });
  }
  return lines;
}

function referenceName(reference: Reference, functions: ReadonlyMap<number, string>): string | undefined {
  switch (reference.kind) {
    case "map":
      return reference.map;
    case "map-value":
      return `${reference.map}+${reference.offset}`;
    case "func":
      return functions.get(reference.target);
    default:
      return reference.name;
  }
}

function formatLine({ insn, text }: Line): string {
  return `${String(insn).padStart(8)}:  ${text}`;
}

function formatListing(
  listing: { program: string; section: string; lines: readonly Line[] },
  io: Pick<Io, "colors">,
): string {
  const colors = pc.createColors(io.colors);
  const out = [colors.bold(`${listing.program}`) + colors.dim(` SEC("${listing.section}")`)];
  for (const line of listing.lines) {
    if (line.func !== undefined) out.push(`\n${colors.cyan(`${line.func}:`)}`);
    if (line.source?.text)
      out.push(colors.dim(`; ${line.source.text}  (${line.source.file}:${line.source.line})`));
    out.push(formatLine(line));
  }
  return out.join("\n");
}
