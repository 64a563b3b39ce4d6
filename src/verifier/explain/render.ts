import type { ErrorExample } from "./page.ts";
import type { ErrorPage } from "./pages.ts";

/** A piece of a page: a paragraph, or code under a heading. */
export type Block =
  | { readonly kind: "heading"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "code"; readonly text: string; readonly language: "c" | "text" };

/** A page as headings, paragraphs and code, for whoever prints it. */
export function pageBlocks(page: ErrorPage): readonly Block[] {
  const blocks: Block[] = [{ kind: "code", text: page.message, language: "text" }];
  blocks.push(heading("Cause"), { kind: "text", text: page.cause }, { kind: "text", text: page.why });
  blocks.push(heading("Cure"), { kind: "text", text: sentence(page.cure) });
  if (page.before !== undefined) {
    blocks.push({ kind: "text", text: "Refused:" }, { kind: "code", text: page.before, language: "c" });
  }
  if (page.after !== undefined) {
    blocks.push({ kind: "text", text: "Instead:" }, { kind: "code", text: page.after, language: "c" });
  }
  blocks.push(heading("Example"), ...exampleBlocks(page.example));
  if (page.notes !== undefined) blocks.push(heading("Versions"), { kind: "text", text: page.notes });
  return blocks;
}

function exampleBlocks(example: ErrorExample): readonly Block[] {
  if (example.kind === "none") {
    return [{ kind: "text", text: `There is no small program for it: ${example.reason}.` }];
  }
  if (example.kind === "c") {
    return [
      { kind: "text", text: "A program that is rejected so:" },
      { kind: "code", text: example.text, language: "c" },
    ];
  }
  const { type, attachType, attachTo, capabilities, license, flags, maps } = example;
  const facts = [type.replace("BPF_PROG_TYPE_", "").toLowerCase()];
  if (attachType !== undefined) facts.push(attachType);
  if (attachTo !== undefined) facts.push(`attached to ${attachTo}`);
  if (flags?.sleepable) facts.push("sleepable");
  if (capabilities === "unprivileged") facts.push("loaded without privileges");
  if (capabilities === "bpf") facts.push("loaded with CAP_BPF only");
  if (license !== undefined) facts.push(`licence "${license}"`);
  const named = Object.entries(maps ?? {});
  for (const [name, map] of named.length > 4 ? [] : named) {
    const kind = map.type.replace("BPF_MAP_TYPE_", "").toLowerCase();
    facts.push(`${name}: ${kind} map with values of ${map.valueSize} bytes`);
  }
  return [
    { kind: "text", text: `A program that is rejected so (${facts.join("; ")}):` },
    { kind: "code", text: abridged(example.text), language: "text" },
  ];
}

/** Long examples repeat themselves. */
function abridged(text: string): string {
  const lines = text.split("\n");
  if (lines.length <= 40) return text;
  return [...lines.slice(0, 8), `… (${lines.length - 16} more lines)`, ...lines.slice(-8)].join("\n");
}

const heading = (text: string): Block => ({ kind: "heading", text });

/** A hint in the imperative as a sentence. */
function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.;]$/.test(first) ? first : `${first}.`;
}
