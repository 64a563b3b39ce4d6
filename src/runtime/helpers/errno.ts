import { ERRNO } from "../../abi/index.ts";

/** Error numbers that helpers answer with, negated. */
export const {
  EPERM,
  ENOENT,
  E2BIG,
  EBADF,
  EAGAIN,
  ENOMEM,
  EACCES,
  EFAULT,
  EBUSY,
  ENODEV,
  EINVAL,
  ENOSPC,
  ERANGE,
  EDEADLK,
  ENODATA,
  EPROTO,
  EBADMSG,
  EPROTONOSUPPORT,
  EOPNOTSUPP,
  EAFNOSUPPORT,
  EALREADY,
  ENOTSUPP,
} = ERRNO;
