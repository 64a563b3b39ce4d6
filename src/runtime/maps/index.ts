export * from "./create.ts";
export * from "./map.ts";
export type { MapExports, MapModule } from "./map-exports.ts";
