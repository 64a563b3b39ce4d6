// Compiles src/ to dist/ (ES modules, declarations, source maps) and makes the command executable.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
  stdio: "inherit",
});
if (existsSync("dist/cli/bin.js")) chmodSync("dist/cli/bin.js", 0o755);
