import { ERRNO } from "../../abi/index.ts";

/** Error numbers that helpers answer with, negated. */
export const {
  EPERM,
  ENOENT,
  E2BIG,
  EBADF,
  EAGAIN,
  EFAULT,
  EBUSY,
  EINVAL,
  ENOSPC,
  ERANGE,
  EDEADLK,
  ENODATA,
  EOPNOTSUPP,
} = ERRNO;
