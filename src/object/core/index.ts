export * from "./apply.ts";
export * from "./match.ts";
export * from "./patch.ts";
export * from "./resolve.ts";
export * from "./spec.ts";
