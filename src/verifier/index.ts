export {
  type Budget,
  type BudgetRow,
  budgetOf,
  type PruningDifference,
  type PruningPoint,
} from "./budget.ts";
export {
  CAPABILITY_SETS,
  type Capabilities,
  type CapabilitySet,
  LOADER_CAPABILITIES,
  type LoaderCapability,
  parseCapabilities,
} from "./capabilities.ts";
export { type Branch, type Cause, type CauseKind, type Explanation, explainRejection } from "./causes.ts";
export * from "./errors.ts";
export type { AsmExample, CExample, ErrorExample, ExampleMap, NoExample } from "./explain/page.ts";
export { ERROR_FAMILIES, type ErrorPage, errorCodeOf, errorPage } from "./explain/pages.ts";
export { type Block, pageBlocks } from "./explain/render.ts";
export { ERROR_HELP, type ErrorHelp } from "./help.ts";
export { hintFor } from "./hints.ts";
export * from "./input.ts";
export * from "./program-of.ts";
export type { DifferenceKind } from "./pruning.ts";
export {
  type RecordedNumber,
  type RecordedPlace,
  type RecordedState,
  type Recording,
  recordStates,
} from "./recorded-states.ts";
export { Verifier, verify } from "./verify.ts";
