import { readFileSync, realpathSync } from "node:fs";
import { BpfError } from "../../base/index.ts";

/**
 * Where a place in a file lies in a process's memory. Kernels without cookies (before 5.15) tell a program only that.
 * @throws BpfError `linux/not-found` when the process is gone or has not mapped the file.
 */
export function addressInProcess(pid: number, path: string, offset: number): bigint {
  const wanted = pathInside(pid, path);
  for (const line of readMaps(pid).split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) \S+ \d+\s+(.*)$/.exec(line);
    if (match === null || match[4] !== wanted) continue;
    const [start, end, mapped] = [match[1], match[2], match[3]].map((text) => BigInt(`0x${text}`));
    const address = start + BigInt(offset) - mapped;
    if (address >= start && address < end) return address;
  }
  throw new BpfError("linux/not-found", `process ${pid} has not mapped ${wanted} at offset ${offset}`, {
    errno: "ESRCH",
    subject: path,
    hint: `/proc/${pid}/maps lists what it has mapped`,
  });
}

/** The path as the process itself has it. */
function pathInside(pid: number, path: string): string {
  const root = `/proc/${pid}/root/`;
  if (path.startsWith(root)) return path.slice(root.length - 1);
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function readMaps(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/maps`, "utf8");
  } catch (error) {
    throw new BpfError("linux/not-found", `the memory map of process ${pid} cannot be read`, {
      errno: "ESRCH",
      subject: String(pid),
      cause: error,
    });
  }
}
