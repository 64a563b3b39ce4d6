import type { KfuncRow, NotImplemented } from "../helper-call.ts";
import { ABSENT_KFUNCS } from "./absent.ts";
import { CPUMASK_KFUNCS } from "./cpumasks.ts";
import { DYNPTR_KFUNCS } from "./dynptrs.ts";
import { GENERAL_KFUNCS } from "./general.ts";
import { ITERATOR_KFUNCS } from "./iterators.ts";
import { OBJECT_KFUNCS } from "./objects.ts";
import { SECTION_KFUNCS } from "./sections.ts";
import { STRING_KFUNCS } from "./strings.ts";
import { TASK_KFUNCS } from "./tasks.ts";
import { WORK_KFUNCS } from "./work.ts";

/**
 * Kernel functions by name. Unlike helpers they are no fixed list: a kernel has those that its modules register, and a
 * name that is missing here is one that the embedded kernel does not know.
 */
export const KFUNC_TABLE: Readonly<Record<string, KfuncRow | NotImplemented>> = {
  ...ITERATOR_KFUNCS,
  ...SECTION_KFUNCS,
  ...DYNPTR_KFUNCS,
  ...OBJECT_KFUNCS,
  ...CPUMASK_KFUNCS,
  ...TASK_KFUNCS,
  ...STRING_KFUNCS,
  ...WORK_KFUNCS,
  ...GENERAL_KFUNCS,
  ...ABSENT_KFUNCS,
};
