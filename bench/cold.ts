// What the first program costs in a process that has done nothing yet: run by compile-time.ts.
import { compileSteps } from "./compile-time.ts";

console.log(JSON.stringify(compileSteps(Number(process.argv[2]), 1)));
