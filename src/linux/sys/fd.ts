import { BpfError } from "../../base/index.ts";

/** An open file descriptor with one owner. Closing twice does nothing; using it closed is an error, not another file. */
export class Fd implements Disposable {
  /** What it is, for messages: `"map 'counts'"`. */
  readonly what: string;
  private open: number | undefined;
  private readonly onClose: (fd: number) => void;

  /** Made by `Sys.own`. `onClose` closes the number. */
  constructor(number: number, what: string, onClose: (fd: number) => void) {
    this.open = number;
    this.what = what;
    this.onClose = onClose;
  }

  /** The number. @throws BpfError `linux/closed`. */
  get number(): number {
    if (this.open === undefined) {
      throw new BpfError("linux/closed", `${this.what} is closed`, { errno: "EBADF", subject: this.what });
    }
    return this.open;
  }

  get closed(): boolean {
    return this.open === undefined;
  }

  close(): void {
    const fd = this.open;
    if (fd === undefined) return;
    this.open = undefined;
    this.onClose(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
