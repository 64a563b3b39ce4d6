import { existsSync, readFileSync } from "node:fs";
import { BpfError } from "../base/index.ts";
import { cString, type Sys } from "./sys/index.ts";

const PLACES = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] as const;
const FSCONFIG_CMD_CREATE = 6;
const FSOPEN_CLOEXEC = 1;
const O_RDONLY_CLOEXEC = 0o2000000;
const ENOENT = -2;

/** The number that the kernel knows a tracepoint by. @throws BpfError `linux/no-tracepoint`, `linux/no-tracefs`. */
export function tracepointId(sys: Sys, category: string, name: string): number {
  if (!/^[\w-]+$/.test(category) || !/^[\w-]+$/.test(name)) throw noTracepoint(category, name);
  const text = readTracefs(sys, `events/${category}/${name}/id`);
  if (text === undefined) throw noTracepoint(category, name);
  return Number(text);
}

/** Functions that kprobes of many functions can be attached to. @throws BpfError `linux/no-tracefs`. */
export function traceableFunctions(sys: Sys): string[] {
  const lines = readTracefs(sys, "available_filter_functions")?.split("\n") ?? [];
  return [...new Set(lines.map((line) => line.split(/[ \t]/, 1)[0]).filter((name) => name !== ""))];
}

/**
 * A file of tracefs; undefined when there is none. Where nobody mounted tracefs, it is read through a mount that only
 * this call sees (Linux 5.2, CAP_SYS_ADMIN).
 */
function readTracefs(sys: Sys, path: string): string | undefined {
  const place = PLACES.find((root) => existsSync(`${root}/events`));
  if (place === undefined) return readDetached(sys, path);
  return existsSync(`${place}/${path}`) ? readFileSync(`${place}/${path}`, "latin1") : undefined;
}

function readDetached(sys: Sys, path: string): string | undefined {
  const context = sys.call("fsopen", cString("tracefs"), FSOPEN_CLOEXEC);
  if (context < 0) throw noTracefs();
  using configured = sys.own(context, "tracefs");
  const created = sys.call("fsconfig", configured, FSCONFIG_CMD_CREATE, 0, 0, 0);
  const mount = created < 0 ? created : sys.call("fsmount", configured, FSOPEN_CLOEXEC, 0);
  if (mount < 0) throw noTracefs();
  using root = sys.own(mount, "tracefs");
  const opened = sys.call("openat", root, cString(path), O_RDONLY_CLOEXEC, 0);
  if (opened === ENOENT) return undefined;
  if (opened < 0) throw noTracefs();
  using file = sys.own(opened, path);
  // No other way to read a file below a mount without a place is known to Node than by its descriptor.
  return readFileSync(file.number, "latin1");
}

function noTracepoint(category: string, name: string): BpfError {
  return new BpfError("linux/no-tracepoint", `this kernel has no tracepoint ${category}/${name}`, {
    errno: "ENOENT",
    subject: `${category}/${name}`,
    hint: "/sys/kernel/tracing/available_events lists them; some belong to a module that has to be loaded",
  });
}

function noTracefs(): BpfError {
  return new BpfError("linux/no-tracefs", "tracefs is not mounted, and these privileges cannot mount it", {
    errno: "ENOENT",
    hint: "mount -t tracefs tracefs /sys/kernel/tracing",
  });
}
