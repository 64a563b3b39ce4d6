export { type UsdtPlace, usdtPlaces } from "./notes.ts";
export type { UsdtSlots } from "./slots.ts";
export * from "./write-specs.ts";
