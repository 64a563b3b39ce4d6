// Runs every example in examples/ against dist/ (as an installed package: `import … from "skep"`); each must print
// something and exit with 0.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

let failed = 0;
for (const name of readdirSync("examples")
  .filter((file) => file.endsWith(".mjs"))
  .sort()) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`examples/${name}`], { encoding: "utf8" });
  const fine = status === 0 && stdout.trim() !== "";
  if (!fine) failed++;
  console.log(`${fine ? "ok    " : "FAILED"} examples/${name}\n${stdout}${stderr}`);
}
process.exitCode = failed === 0 ? 0 : 1;
