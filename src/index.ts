export * from "./base/index.ts";
export * from "./object/index.ts";
