export * from "./errors.ts";
export * from "./input.ts";
export * from "./program-of.ts";
export { Verifier, verify } from "./verify.ts";
