export { Inspection } from "./inspection.ts";
