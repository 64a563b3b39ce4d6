import pc from "picocolors";
import { editDistance } from "../../base/index.ts";
import {
  type Block,
  ERROR_FAMILIES,
  type ErrorPage,
  errorCodeOf,
  errorPage,
  pageBlocks,
  type VerifierCode,
} from "../../verifier/index.ts";
import { type Command, readOptions, UsageError } from "../command.ts";
import { toJson } from "../format/json.ts";
import type { Io } from "../io.ts";

const MAX_SUGGESTIONS = 5;

export const explain: Command = {
  name: "explain",
  summary: "Say what an error code of the verifier means: cause, cure and an example",
  arguments: [
    { name: "code", summary: "such as verifier/maybe-null or maybe-null; none: list all", optional: true },
  ],
  options: [{ flags: "--json", summary: "print one JSON value" }],
  examples: ["skep explain maybe-null", "skep explain verifier/packet-bounds --json", "skep explain"],

  async run(io, [name], values) {
    const json = readOptions(values).flag("json");
    if (name === undefined) {
      io.out(json ? toJson(allCodes().map((code) => errorPage(code))) : formatList(io));
      return 0;
    }
    const code = errorCodeOf(name);
    if (code === undefined) throw new UsageError(`there is no error code '${name}'`, suggestion(name));
    const page = errorPage(code);
    io.out(json ? toJson(page) : formatPage(page, io));
    return 0;
  },
};

function allCodes(): readonly VerifierCode[] {
  return ERROR_FAMILIES.flatMap(({ codes }) => codes);
}

function formatList(io: Io): string {
  const colors = pc.createColors(io.colors);
  return ERROR_FAMILIES.map(({ title, codes }) => {
    const width = Math.max(...codes.map((code) => code.length));
    const lines = codes.map((code) => `  ${code.padEnd(width)}  ${errorPage(code).title}`);
    return [colors.bold(title), ...lines].join("\n");
  }).join("\n\n");
}

function formatPage(page: ErrorPage, io: Io): string {
  const colors = pc.createColors(io.colors);
  const width = Math.min(io.columns, 100);
  const show = (block: Block): string => {
    if (block.kind === "heading") return colors.bold(block.text);
    if (block.kind === "code") return block.text.replace(/^(?=.)/gm, "    ");
    return wrap(block.text, width - 2).replace(/^/gm, "  ");
  };
  return [`${colors.cyan(page.code)}  ${colors.bold(page.title)}`, ...pageBlocks(page).map(show)].join(
    "\n\n",
  );
}

/** Breaks lines between words. */
function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.join("\n");
}

/** The codes that share most words with what was asked for, or are close to it. */
function suggestion(name: string): string {
  const wanted = name.replace(/^verifier\//, "");
  const words = wanted.split(/[-_\s]+/);
  const near = allCodes()
    .map((code) => {
      const own = code.replace("verifier/", "");
      const shared = own.split("-").filter((word) => words.includes(word)).length;
      return { own, rank: editDistance(own, wanted) / Math.max(own.length, wanted.length) - shared };
    })
    .filter(({ rank }) => rank < 0.5)
    .sort((a, b) => a.rank - b.rank)
    .slice(0, MAX_SUGGESTIONS);
  if (near.length === 0) return "skep explain lists all";
  return `did you mean ${near.map(({ own }) => own).join(", ")}? skep explain lists all`;
}
