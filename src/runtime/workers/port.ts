/** One worker thread as its owner sees it; Node's and the browser's are both made into this. */
export interface WorkerPort {
  /** Structured clone of a message to the worker. */
  post(message: unknown): void;
  /** Messages from the worker. Called once, before anything is posted. */
  onMessage(listener: (message: unknown) => void): void;
  /** The worker could not be started or died. Called once. */
  onError(listener: (error: Error) => void): void;
  terminate(): void;
}

/** Where an embedded kernel gets its worker threads from. Each must run `serveWorker`. */
export interface WorkerSource {
  /** Threads to start: each is a CPU of the kernel. */
  readonly count: number;
  spawn(cpu: number): WorkerPort;
}

/** The worker's end. */
export interface ServedPort {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
}

/** A web worker as a port: `webWorkers(2, () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }))`. */
export function webWorkers(count: number, make: (cpu: number) => Worker): WorkerSource {
  return {
    count,
    spawn(cpu) {
      const worker = make(cpu);
      return {
        post: (message) => worker.postMessage(message),
        onMessage: (listener) => worker.addEventListener("message", ({ data }) => listener(data)),
        onError: (listener) => {
          worker.addEventListener("error", ({ message }) => listener(new Error(message)));
          worker.addEventListener("messageerror", () => listener(new Error("a message could not be read")));
        },
        terminate: () => worker.terminate(),
      };
    },
  };
}
