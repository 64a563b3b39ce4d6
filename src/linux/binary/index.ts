export * from "./binary.ts";
