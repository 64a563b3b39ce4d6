export * from "./open-kernel.ts";
