export { type Budget, type BudgetRow, budgetOf } from "./budget.ts";
export { type Branch, type Cause, type CauseKind, type Explanation, explainRejection } from "./causes.ts";
export * from "./errors.ts";
export { ERROR_HELP, type ErrorHelp } from "./help.ts";
export { hintFor } from "./hints.ts";
export * from "./input.ts";
export * from "./program-of.ts";
export { Verifier, verify } from "./verify.ts";
