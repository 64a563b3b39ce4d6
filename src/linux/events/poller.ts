import type { BpfError } from "../../base/index.ts";
import { type Fd, linuxError, type Sys } from "../sys/index.ts";

/** include/uapi/linux/eventpoll.h */
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLLIN = 1;
const EPOLLONESHOT = 1 << 30;
const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
const EVENTS = 64;
const EINTR = -4;
/** Who waits for the poller itself: a number that no descriptor has. */
const WAKE = 0xffff_ffff;

interface Waiter {
  readonly fds: readonly number[];
  resolve(): void;
  reject(error: BpfError): void;
}

/**
 * Waits for descriptors to become readable, for all buffers of a kernel together, on one thread that is not the main one.
 * While somebody waits the process stays alive. Holds descriptors of its own until those it watched are cancelled.
 */
export class Poller {
  private readonly sys: Sys;
  private opened: Opened | undefined;
  private readonly watched = new Set<number>();
  private readonly waiters = new Set<Waiter>();
  /** `struct epoll_event` is packed on x86-64 only. */
  private readonly stride = process.arch === "x64" ? 12 : 16;
  /** What a thread waits on. */
  private polling: Opened | undefined;

  constructor(sys: Sys) {
    this.sys = sys;
  }

  /** Resolves when one of the descriptors is readable, or was cancelled. @throws BpfError `linux/…`. */
  wait(fds: readonly Fd[]): Promise<void> {
    const numbers = fds.map((fd) => fd.number);
    this.opened ??= this.open();
    for (const number of numbers) this.arm(this.opened, number);
    const waiting = new Promise<void>((resolve, reject) => {
      this.waiters.add({ fds: numbers, resolve, reject });
    });
    if (this.polling === undefined) void this.poll(this.opened);
    return waiting;
  }

  /** Ends the waits for a descriptor, and forgets it: to be called before it is closed. */
  cancel(fd: Fd): void {
    const { opened } = this;
    if (opened === undefined || fd.closed || !this.watched.delete(fd.number)) return;
    this.settle(fd.number);
    this.sys.call("epoll_ctl", opened.epoll, EPOLL_CTL_DEL, fd.number, 0);
    if (this.watched.size === 0) this.close();
  }

  private open(): Opened {
    const { sys } = this;
    const doing = "opening epoll";
    // Not `own`ed: they have to outlive the wait of a thread, which ends a little after the kernel's.
    const epoll = sys.check({ doing }, "epoll_create1", EPOLL_CLOEXEC);
    const wakeUp = sys.check({ doing }, "eventfd2", 0, EFD_CLOEXEC_NONBLOCK);
    this.control(epoll, EPOLL_CTL_ADD, wakeUp, EPOLLIN, WAKE);
    // At its exit the process waits for its threads: none may be left waiting.
    const forget = sys.cleanup.add(() => this.close(), { outlives: true });
    return { epoll, wakeUp, forget };
  }

  /** Ends all waits. */
  private close(): void {
    const { opened } = this;
    if (opened === undefined) return;
    this.opened = undefined;
    this.watched.clear();
    for (const waiter of this.waiters) waiter.resolve();
    this.waiters.clear();
    this.sys.call("write", opened.wakeUp, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]), 8);
    opened.forget();
    if (this.polling !== opened) this.release(opened);
  }

  /** Only when no thread waits: closing an eventfd takes back the wake-up that it has not delivered yet. */
  private release({ epoll, wakeUp }: Opened): void {
    this.sys.call("close", epoll);
    this.sys.call("close", wakeUp);
  }

  private async poll(opened: Opened): Promise<void> {
    this.polling = opened;
    const events = new Uint8Array(EVENTS * this.stride);
    const view = new DataView(events.buffer);
    while (this.waiters.size > 0 && this.opened === opened) {
      const count = await this.sys.callAsync("epoll_pwait", opened.epoll, events, EVENTS, -1, 0, 8);
      if (this.opened !== opened) {
        this.release(opened);
        break;
      }
      if (count < 0 && count !== EINTR) {
        for (const waiter of this.waiters) waiter.reject(linuxError(count, { doing: "waiting for records" }));
        this.waiters.clear();
      }
      for (let i = 0; i < count; i++) {
        const number = view.getUint32(i * this.stride + (this.stride - 8), true);
        if (number !== WAKE) this.settle(number);
      }
    }
    this.polling = undefined;
    if (this.opened !== undefined && this.waiters.size > 0) void this.poll(this.opened);
  }

  private settle(number: number): void {
    for (const waiter of this.waiters) {
      if (!waiter.fds.includes(number)) continue;
      this.waiters.delete(waiter);
      waiter.resolve();
    }
  }

  private arm({ epoll }: Opened, number: number): void {
    const operation = this.watched.has(number) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    const result = this.control(epoll, operation, number, EPOLLIN | EPOLLONESHOT, number);
    if (result < 0) throw linuxError(result, { doing: "waiting for records" });
    this.watched.add(number);
  }

  private control(epoll: number, operation: number, fd: number, events: number, data: number): number {
    const event = new Uint8Array(this.stride);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setUint32(this.stride - 8, data, true);
    return this.sys.call("epoll_ctl", epoll, operation, fd, event);
  }
}

interface Opened {
  /** Descriptors. */
  readonly epoll: number;
  readonly wakeUp: number;
  /** Takes back the clean-up at the process's exit. */
  forget(): void;
}
