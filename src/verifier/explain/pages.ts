import type { VerifierCode } from "../errors.ts";
import { VERIFIER_ERRORS } from "../errors.ts";
import { ERROR_HELP, type ErrorHelp } from "../help.ts";
import { ACCESS_PAGES } from "./access.ts";
import { CORE_PAGES } from "./core.ts";
import { KFUNC_PAGES } from "./kfunc.ts";
import type { ErrorDetails } from "./page.ts";
import { PRE_PAGES } from "./pre.ts";

/** By stable code; a code without a page does not compile. */
const DETAILS: Readonly<Record<VerifierCode, ErrorDetails>> = {
  ...PRE_PAGES,
  ...CORE_PAGES,
  ...ACCESS_PAGES,
  ...KFUNC_PAGES,
};

/** Where the tables divide the codes, in the order of a verification. */
export const ERROR_FAMILIES: readonly { readonly title: string; readonly codes: readonly VerifierCode[] }[] =
  [
    { title: "Before and after the walk", codes: codesOf(PRE_PAGES) },
    { title: "Registers, stack, calls and termination", codes: codesOf(CORE_PAGES) },
    { title: "Memory and helpers", codes: codesOf(ACCESS_PAGES) },
    { title: "Kernel functions and what they manage", codes: codesOf(KFUNC_PAGES) },
  ];

/** Everything there is to say about an error code. */
export interface ErrorPage extends ErrorDetails, ErrorHelp {
  readonly code: VerifierCode;
  /** The kernel's words, `{…}` for what varies. */
  readonly message: string;
}

/** The page of an error code. */
export function errorPage(code: VerifierCode): ErrorPage {
  return { code, message: VERIFIER_ERRORS[code], ...ERROR_HELP[code], ...DETAILS[code] };
}

/** The code that a text names, with or without `verifier/`. */
export function errorCodeOf(text: string): VerifierCode | undefined {
  const code = text.startsWith("verifier/") ? text : `verifier/${text}`;
  return Object.hasOwn(VERIFIER_ERRORS, code) ? (code as VerifierCode) : undefined;
}

function codesOf(pages: object): readonly VerifierCode[] {
  return Object.keys(pages) as VerifierCode[]; // the tables' own keys
}
