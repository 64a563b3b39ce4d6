export * from "./codec.ts";
export * from "./parse.ts";
export * from "./parse-ext.ts";
export * from "./query.ts";
export * from "./strings.ts";
export * from "./types.ts";
