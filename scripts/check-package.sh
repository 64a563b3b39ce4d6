#!/usr/bin/env bash
# Packs the package, installs the tarball into an empty folder and uses it as a user would: npx skep, and an import.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tarball=$(npm pack --silent --ignore-scripts --pack-destination "$work")
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund "./$tarball"
npx skep --version
npx skep run "$root/fixtures/demo/guard.bpf.o" --pcap "$root/fixtures/demo/traffic.pcapng" --json >report.json
node -e '
  const report = JSON.parse(require("fs").readFileSync("report.json", "utf8"));
  if (report.packets !== 270 || !(report.verdicts.XDP_DROP > 0)) throw new Error(`unexpected report: ${JSON.stringify(report.verdicts)}`);
'
cat >use.mjs <<'JS'
import { readFileSync } from "node:fs";
import { openKernel, readObject } from "skep";
const kernel = await openKernel("embedded");
const collection = await kernel.load(readObject(readFileSync(process.argv[2])));
const { retval } = collection.programs.get("guard").run({ data: new Uint8Array(64) });
if (retval !== 2) throw new Error(`XDP_PASS expected, got ${retval}`);
JS
node use.mjs "$root/fixtures/demo/guard.bpf.o"
cat >linux.mjs <<'JS'
import { readFileSync } from "node:fs";
import { openKernel, readObject } from "skep";
const kernel = await openKernel("linux");
try {
  const collection = await kernel.load(readObject(readFileSync(process.argv[2])));
  const { retval } = collection.programs.get("guard").run({ data: new Uint8Array(64) });
  if (retval !== 2) throw new Error(`XDP_PASS expected, got ${retval}`);
} finally {
  kernel[Symbol.dispose]();
}
JS
if [ "$(id -u)" = 0 ] && [ "$(uname)" = Linux ]; then
  node linux.mjs "$root/fixtures/demo/guard.bpf.o"
else
  echo "the Linux kernel is left out: needs root on Linux"
fi
for part in isa abi elf btf object runtime verifier capture; do node -e "import('skep/$part').then((m) => { if (Object.keys(m).length === 0) process.exit(1); })"; done
