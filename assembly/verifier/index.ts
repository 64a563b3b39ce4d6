// The verifier's scalar domain: one small wasm without memory of its own. What each export does: `DomainExports` in
// src/verifier/domain.ts. Rows are word indices (src/verifier/layout.ts); nothing here allocates or traps.
export { addConst, addVarOff, aluScalar, subVarOff } from "./alu";
export { intersect, isBranchTaken, refine } from "./branch";
export { coerce, signExtend, signExtend32, swapBytes, zeroExtend32 } from "./extend";
export { boundsViolation, isAligned, minusOneOrZero, scalarContains } from "./questions";
export {
  copyRow,
  copyWords,
  equalWords,
  markKnown,
  markUnknown,
  sameScalar,
  setConst,
  setConst32,
  setSigned32,
  setSigned64,
  setUnbounded,
  setUnknown,
  syncBounds,
  zeroWords,
} from "./rows";
