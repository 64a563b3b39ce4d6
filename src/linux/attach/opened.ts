import type { FileDescriptor } from "../../object/index.ts";
import { cString, type Fd, type Sys } from "../sys/index.ts";

const AT_FDCWD = -100;
const O_RDONLY_CLOEXEC = 0o2000000;

/**
 * Runs `use` with a descriptor of what `place` names: a path, which is closed afterwards, or a descriptor of the caller's.
 * @throws BpfError `linux/…` when the path cannot be opened, and what `use` throws.
 */
export function withOpened<Result>(
  sys: Sys,
  place: string | FileDescriptor,
  what: string,
  use: (fd: Fd | FileDescriptor) => Result,
): Result {
  if (typeof place === "number") return use(place);
  using fd = openPath(sys, place, what);
  return use(fd);
}

/** Opens a path for reading. `what` names it in messages: `"cgroup"`. @throws BpfError `linux/…`. */
export function openPath(sys: Sys, path: string, what: string): Fd {
  const facts = { doing: `opening ${what} ${path}`, subject: path, needs: [] };
  return sys.own(sys.check(facts, "openat", AT_FDCWD, cString(path), O_RDONLY_CLOEXEC, 0), `${what} ${path}`);
}
