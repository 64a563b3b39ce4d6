// Writes docs/errors/, a page for each error code of the verifier, and fixtures/errors/*.bpf.c, the pages' examples in C
// (npm run fixtures compiles them), from the tables of src/verifier. node scripts/run-ts.mjs scripts/error-pages.ts
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import {
  type Block,
  ERROR_FAMILIES,
  errorPage,
  pageBlocks,
  type VerifierCode,
} from "../src/verifier/index.ts";

const DOCS = "docs/errors";
const FIXTURES = "fixtures/errors";
const NOTE = "<!-- Printed from the tables in src/verifier by scripts/error-pages.ts; do not edit. -->";

/** Every file by path. */
export function renderErrorPages(): ReadonlyMap<string, string> {
  const files = new Map([[`${DOCS}/README.md`, renderIndex()]]);
  for (const { codes } of ERROR_FAMILIES) {
    for (const code of codes) {
      files.set(`${DOCS}/${shortName(code)}.md`, renderPage(code));
      const { example } = errorPage(code);
      if (example.kind === "c")
        files.set(`${FIXTURES}/${shortName(code)}.bpf.c`, cSource(code, example.text));
    }
  }
  return files;
}

/** Files that were written for codes that are gone. */
export function staleErrorPages(): readonly string[] {
  const files = renderErrorPages();
  const present = [...listed(DOCS, ".md"), ...listed(FIXTURES, ".bpf.c")];
  return present.filter((path) => !files.has(path));
}

function listed(folder: string, ending: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`);
}

function renderIndex(): string {
  const lines = [
    "# Why the verifier refuses programs",
    "",
    NOTE,
    "",
    "A page for each error code, with cause, cure and a program that provokes it; `skep explain CODE` prints it too.",
  ];
  for (const { title, codes } of ERROR_FAMILIES) {
    lines.push("", `## ${title}`, "", "| code | | Linux says |", "| --- | --- | --- |");
    for (const code of codes) {
      const { title: headline, message } = errorPage(code);
      const words = message.replaceAll("|", "\\|");
      lines.push(`| [${shortName(code)}](${shortName(code)}.md) | ${headline} | \`${words}\` |`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function renderPage(code: VerifierCode): string {
  const page = errorPage(code);
  const parts = [`# ${page.title}`, NOTE, `\`${code}\`. Linux says:`, ...pageBlocks(page).map(markdown)];
  return `${parts.join("\n\n")}\n`;
}

function markdown(block: Block): string {
  if (block.kind === "heading") return `## ${block.text}`;
  if (block.kind === "code") return `\`\`\`${block.language}\n${block.text}\n\`\`\``;
  return block.text.replace(/[<*]|\b_/g, "\\$&");
}

function cSource(code: VerifierCode, text: string): string {
  return `// The example of ${code}; written by scripts/error-pages.ts from src/verifier/explain.\n#include "errors.h"\n\n${text}\n`;
}

function shortName(code: VerifierCode): string {
  return code.replace("verifier/", "");
}

if (basename(process.argv[1] ?? "") === "error-pages.ts") {
  for (const [path, text] of renderErrorPages()) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  for (const path of staleErrorPages()) rmSync(path);
}
