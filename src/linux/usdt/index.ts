export * from "./addresses.ts";
export * from "./arguments.ts";
export * from "./notes.ts";
export * from "./slots.ts";
export * from "./spec.ts";
