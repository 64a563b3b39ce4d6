export * from "./core/index.ts";
export * from "./kernel.ts";
export * from "./spec.ts";
