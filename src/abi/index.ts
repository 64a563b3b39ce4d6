export * from "./attach-types.ts";
export * from "./context-structs.ts";
export * from "./contexts.ts";
export * from "./helper-availability.ts";
export * from "./helpers.ts";
export * from "./map-types.ts";
export * from "./program-types.ts";
