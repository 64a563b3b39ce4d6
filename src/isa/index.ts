export * from "./insn-table.ts";
